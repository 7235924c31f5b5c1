"""Who may press the buttons, and what they do: the page's application in memory."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from demo_app.fleet import control
from demo_app.fleet.control import create_control
from demo_app.fleet.fleet import Fleet
from demo_app.fleet.guard import refusal
from tests.demo.support import PAGES, TOKEN

pytestmark = pytest.mark.no_cover  # the package has no part in it

OPERATOR = {"authorization": f"Bearer {TOKEN}"}
OWN = {**OPERATOR, "host": "127.0.0.1:8000"}
BY_NAME = {**OPERATOR, "host": "localhost:8000"}


class Part:
    """A part of a fleet that is no process."""

    address = url = "http://127.0.0.1:8001"
    framework = "fastapi"

    def __init__(self, name: str) -> None:
        self.name = name
        self.code: int | None = None
        self.fails = False

    def start(self) -> None:
        """Run, unless it is to fail."""
        if self.fails:
            raise RuntimeError("port 8001 is taken by another program")
        self.code = None

    def kill(self) -> None:
        """Run no more."""
        self.code = -9


@pytest.fixture
def fleet() -> Fleet:
    """Two instances and a server that are no processes."""
    parts: list[Any] = [Part("A"), Part("B"), Part("valkey")]
    return Fleet(parts[:2], parts[2], TOKEN, PAGES[0])


@pytest.fixture
async def client(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient]:
    """What has the token."""
    transport = httpx.ASGITransport(create_control(fleet, PAGES))
    async with httpx.AsyncClient(
        transport=transport, base_url=PAGES[0], headers=OPERATOR
    ) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        pytest.param("POST", OWN, None, id="command"),
        pytest.param("POST", BY_NAME, None, id="command-by-name"),
        pytest.param(
            "POST",
            {**OWN, "origin": PAGES[0], "sec-fetch-site": "same-origin"},
            None,
            id="page",
        ),
        pytest.param("POST", {**BY_NAME, "origin": PAGES[1]}, None, id="page-by-name"),
        pytest.param("POST", {**OWN, "origin": PAGES[1]}, 403, id="the-other-name"),
        pytest.param("POST", {**OWN, "origin": "http://evil.example"}, 403, id="strange-page"),
        pytest.param("POST", {**OWN, "origin": "null"}, 403, id="sandboxed-page"),
        pytest.param("POST", {**OWN, "origin": "http://127.0.0.1:8001"}, 403, id="other-port"),
        pytest.param("POST", {**OWN, "sec-fetch-site": "same-site"}, 403, id="same-site"),
        pytest.param("POST", {**OWN, "sec-fetch-site": "cross-site"}, 403, id="cross-site"),
        pytest.param("POST", {"host": "127.0.0.1:8000"}, 401, id="no-token"),
        pytest.param("POST", {**OWN, "authorization": "Bearer x"}, 401, id="another-token"),
        pytest.param("POST", {**OWN, "authorization": "Bearer \xe9"}, 401, id="no-ascii"),
        pytest.param("POST", {**OWN, "host": "evil.example:8000"}, 421, id="rebound-name"),
        pytest.param("POST", OPERATOR, 421, id="no-host"),
        pytest.param("PUT", {"host": "127.0.0.1:8000"}, 401, id="another-method"),
        pytest.param("GET", {"host": "127.0.0.1:8000"}, None, id="reading"),
        pytest.param("HEAD", {"host": "localhost:8000"}, None, id="reading-the-head"),
        pytest.param("GET", {"host": "evil.example:8000"}, 421, id="reading-by-rebound-name"),
    ],
)
def test_who_may_change_something(method: str, headers: dict[str, str], status: int | None) -> None:
    """This machine's own page with the token, and commands with it."""
    refused = refusal(method, headers, PAGES, TOKEN)

    assert status == (refused and refused.status)


async def test_part_is_killed_and_restarted(client: httpx.AsyncClient, fleet: Fleet) -> None:
    """Once each; the state tells why it does not run."""
    seen = []
    for act in ("kill", "kill", "restart", "restart"):
        answer = await client.post(f"/parts/B/{act}")
        why = (await client.get("/fleet")).json()["instances"][1]["why_not"]
        seen.append((answer.status_code, fleet.parts["B"].code, why))

    assert seen == [
        (200, -9, "it was killed here"),
        (409, -9, "it was killed here"),
        (200, None, ""),
        (409, None, ""),
    ]
    assert fleet.parts["A"].code is None


async def test_part_that_ends_by_itself_is_named(client: httpx.AsyncClient, fleet: Fleet) -> None:
    """With its exit code; it can be restarted like one that was killed."""
    fleet.parts["valkey"].code = 1  # type: ignore[misc]
    ended = (await client.get("/fleet")).json()["valkey"]["why_not"]
    started = (await client.post("/parts/valkey/restart")).json()["valkey"]["why_not"]

    assert (ended, started) == ("it ended with code 1", "")


async def test_part_that_ends_after_a_restart_was_not_killed(
    client: httpx.AsyncClient, fleet: Fleet
) -> None:
    """What was done before does not count."""
    for act in ("kill", "restart"):
        await client.post(f"/parts/A/{act}")
    fleet.parts["A"].code = 1  # type: ignore[misc]

    assert fleet.why_not("A") == "it ended with code 1"


async def test_part_that_does_not_start_is_told(client: httpx.AsyncClient, fleet: Fleet) -> None:
    """In words, and it counts as what it was."""
    part: Any = fleet.parts["A"]
    part.fails = True
    await client.post("/parts/A/kill")
    answer = await client.post("/parts/A/restart")

    assert answer.status_code == 503
    assert answer.json()["detail"] == "port 8001 is taken by another program"
    assert fleet.why_not("A") == "it was killed here"


@pytest.mark.parametrize(
    "path", ["/parts/C/kill", "/parts/A/burn", "/bursts/C/each", "/bursts/A/wild", "/no-file"]
)
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    """No other part, button or file."""
    method = "GET" if path == "/no-file" else "POST"

    assert (await client.request(method, path)).status_code == 404


async def test_nothing_is_done_without_the_token(client: httpx.AsyncClient, fleet: Fleet) -> None:
    """The guard stands before the buttons."""
    answer = await client.post("/parts/B/kill", headers={"authorization": ""})

    assert answer.status_code == 401
    assert "open the address that the terminal has printed" in answer.json()["detail"]
    assert fleet.parts["B"].code is None


async def test_burst_to_an_instance_that_is_away_is_told(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name."""

    async def refused(address: str, *, coalesce: bool) -> dict[str, Any]:
        raise ConnectionRefusedError("nothing listens")

    monkeypatch.setattr(control, "burst", refused)
    answer = await client.post("/bursts/B/each")

    assert (answer.status_code, answer.json()["detail"]) == (
        503,
        "B does not answer: nothing listens",
    )


@pytest.mark.parametrize("path", ["/", "/app.js", "/fleet", "/nowhere"])
async def test_each_answer_is_for_this_page_alone(client: httpx.AsyncClient, path: str) -> None:
    """Its scripts, its styles, and requests to its own instances; nothing frames or keeps it."""
    headers = (await client.get(path)).headers

    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
        "connect-src 'self' http://127.0.0.1:8001 http://127.0.0.1:8001; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
