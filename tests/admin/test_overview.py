"""The state of a cache, its runs, its log, its settings, and its switch."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from asgi_multitier import CacheConfig, CacheManager, __version__
from asgi_multitier.admin.files import read_files
from asgi_multitier.admin.replies import GUARDS
from asgi_multitier.admin.switching import QUESTION
from asgi_multitier.engine.health import Health
from asgi_multitier.policy.key import storage_key
from asgi_multitier.testing import FakeClock
from tests.admin.support import OPERATOR, VIEWER, Person, made, read
from tests.patience import until
from tests.support import Client, answering, caching


async def test_what_there_is_is_listed() -> None:
    """With the right that the request has."""
    async with made() as manager:
        app = manager.admin(OPERATOR, VIEWER)
        found = await Person(app).get("/api")
        viewer = await Person(app, VIEWER).get("/api")

    assert found | {"pid": 0, "routes": []} == {
        "version": __version__,
        "namespace": "shop",
        "mode": "on",
        "rights": "operator",
        "redact": True,
        "read_only": False,
        "running": True,
        "pid": 0,
        "routes": [],
    }
    assert viewer["rights"] == "viewer"
    assert "api/invalidate" in found["routes"]


async def test_each_route_that_is_listed_is_there() -> None:
    """And answers one method at least."""
    async with made() as manager:
        person = Person(manager.admin(OPERATOR))
        routes = (await person.get("/api"))["routes"]
        for route in routes:
            method = "OPTIONS"
            reply = await person.reply(method, "/" + route.replace("{}", "r:" + "0" * 32))
            assert reply.status == 405, route
            assert reply.get("allow")


ALLOWED = [
    ("PUT", "/api", b"GET, HEAD"),
    ("GET", "/api/invalidate", b"POST"),
    ("HEAD", "/api/mode", b"POST"),
    ("OPTIONS", "/api/entries", b"GET, HEAD"),
    ("POST", "/api/events", b"GET"),
    ("HEAD", "/api/events", b"GET"),
    ("POST", "/metrics", b"GET, HEAD"),
    ("DELETE", "/healthz", b"GET, HEAD"),
    ("PURGE", "/api/entries", b"GET, HEAD"),
    ("get", "/api", b"GET, HEAD"),
]


@pytest.mark.parametrize(("method", "path", "allow"), ALLOWED)
async def test_other_methods_are_told_which(method: str, path: str, allow: bytes) -> None:
    """In `Allow`, and no preflight is answered."""
    async with made() as manager:
        reply = await Person(manager.admin(OPERATOR)).reply(method, path)

    assert (reply.status, reply.get("allow")) == (405, allow)
    assert not [name for name, _ in reply.headers if name.startswith(b"access-control")]


async def test_where_nothing_can_be_changed_there_is_no_post() -> None:
    """`read_only=True`; it says so."""
    async with made() as manager:
        person = Person(manager.admin(OPERATOR, read_only=True))
        found = await person.get("/api")
        for path in ("/api/invalidate", "/api/mode", "/api/warm"):
            await person.post(path, {}, 404)

    assert found["read_only"] is True
    assert not {"api/invalidate", "api/mode", "api/warm"} & {*found["routes"]}


@pytest.mark.parametrize(
    "path",
    [
        "/api/", "//api", "/api//entries", "/./api", "/api/../api", "/%2e%2e/api",
        "/api%2fentries/", "/API", "/api/entries/../config", "/..;/api", "/api;x", "/api\x00",
        "/metrics/", "/api/\u0130", "/healthz/x", "/static", "/page/",
        "/api/entries/%2e%2e", "/../../etc/passwd", "/%5c..%5c",
    ],
)  # fmt: skip
async def test_a_path_is_what_it_is(path: str) -> None:
    """Nothing is joined, decoded twice or cut: another path is not there."""
    async with made() as manager:
        app = manager.admin(OPERATOR)
        reply = await Person(app).reply("GET", path.encode("utf-8").decode("latin-1"))
        stranger = await Client(app).get(path.encode("utf-8").decode("latin-1"))

    assert (reply.status, stranger.status) == (404, 401)


REPLIES = [
    ("GET", "/api", OPERATOR, 200),
    ("GET", "/api", "x" * 40, 401),
    ("GET", "/nothing", OPERATOR, 404),
    ("PUT", "/api", OPERATOR, 405),
    ("GET", "/api/entries?limit=x", OPERATOR, 422),
    ("GET", "/healthz", "x" * 40, 200),
    ("GET", "/metrics", OPERATOR, 200),
    ("POST", "/metrics", OPERATOR, 405),
]


@pytest.mark.parametrize(("method", "path", "token", "status"), REPLIES)
async def test_each_answer_is_guarded(method: str, path: str, token: str, status: int) -> None:
    """Nothing keeps, frames or guesses it; each field stands there once."""
    async with made() as manager:
        reply = await Person(manager.admin(OPERATOR), token).reply(method, path)

    assert reply.status == status
    for name, value in GUARDS:
        assert reply.all(name.decode()) == [value]
    assert reply.get("set-cookie") is None


@pytest.mark.parametrize("path", ["/api", "/api/entries", "/healthz", "/nothing"])
async def test_a_head_has_the_fields_alone(path: str) -> None:
    """As those of a GET."""
    async with made() as manager:
        person = Person(manager.admin(OPERATOR))
        got, head = [await person.reply(method, path) for method in ("GET", "HEAD")]

    assert (head.status, head.body) == (got.status, b"")
    assert got.get("content-length") == b"%d" % len(got.body)


# Parameters and contents.


WRONG = [
    ("/api?x=1", "x"),
    ("/api/config?reveal=1", "reveal"),
    ("/api/entries?limit=0", "limit"),
    ("/api/entries?limit=201", "limit"),
    ("/api/entries?limit=-1", "limit"),
    ("/api/entries?limit=%D9%A1", "limit"),
    ("/api/entries?limit=" + "9" * 100, "limit"),
    ("/api/entries?limit=1&limit=2", "limit"),
    ("/api/entries?sort=name", "sort"),
    ("/api/entries?kind=x", "kind"),
    ("/api/entries?state=x", "state"),
    ("/api/entries?reveal=true", "reveal"),
    ("/api/entries?glob=" + "*" * 9, "glob"),
    ("/api/entries?glob=", "glob"),
    ("/api/log?limit=501", "limit"),
    ("/api/flights?limit=501", "limit"),
    ("/api/events?kind=x", "kind"),
    ("/api/events?kind=fill,x", "kind"),
]


async def test_a_change_has_no_parameters() -> None:
    """What it is to do stands in its content alone."""
    async with made() as manager:
        operator = Person(manager.admin(OPERATOR))
        body = {"tags": ["a"]}
        reply = await operator.reply("POST", "/api/invalidate?dry_run=1", body=body)

    assert read(reply, 422)["field"] == "dry_run"


async def test_a_parameter_that_is_wrong_is_named() -> None:
    """With what is allowed."""
    async with made() as manager:
        operator = Person(manager.admin(OPERATOR))
        replies = [await operator.reply("GET", path) for path, _ in WRONG]

    for reply, (path, field) in zip(replies, WRONG, strict=True):
        problem = read(reply, 422)
        assert reply.get("content-type") == b"application/problem+json"
        assert (problem["field"], problem["type"]) == (field, "about:blank"), path


async def test_a_name_that_is_nearly_right_is_proposed() -> None:
    """In the query, and in an object."""
    async with made() as manager:
        person = Person(manager.admin(OPERATOR))
        query = await person.get("/api/entries?rout=x", 422)
        body = await person.post("/api/invalidate", {"tag": ["a"]}, 422)

    assert "did you mean 'route'?" in query["detail"]
    assert "did you mean 'tags'?" in body["detail"]


@pytest.mark.parametrize("query", ["x" * 5_000, "a=1&" * 3_000])
async def test_a_huge_query_is_not_taken_apart(query: str) -> None:
    """RFC 9110 §15.5.15."""
    async with made() as manager:
        await Person(manager.admin(OPERATOR)).get(f"/api/entries?{query}", 414)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"5", 422),
        (b"null", 422),
        (b"\xff\xfe", 422),
        (b"[" * 50_000, 422),
        (b'{"mode": NaN}', 422),
        (b'{"mode": "shade"}', 422),
        (b'{"mode": ["on"]}', 422),
        (b"{}", 422),
        (b" " * (64 * 1024 + 1), 413),
        (b'{"mode": "on"}' + b" " * (64 * 1024 - 14), 200),
    ],
)
async def test_a_content_that_is_wrong_is_refused(content: bytes, status: int) -> None:
    """And one that is too large, which is not read to its end."""
    async with made() as manager:
        reply = await Person(manager.admin(OPERATOR)).reply("POST", "/api/mode", body=content)

    assert reply.status == status
    assert manager.mode == "on"


@pytest.mark.parametrize("length", ["65537", "9" * 5_000])
async def test_a_content_that_says_it_is_too_large_is_not_read(length: str) -> None:
    """What the server would have to take in."""

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    async with made() as manager:
        app = manager.admin(OPERATOR)

        async def reading(scope: Any, _: Any, send: Any) -> None:
            await app(scope, receive, send)

        reply = await Person(reading).reply(
            "POST", "/api/mode", ("content-length", length), body={"mode": "on"}
        )

    assert reply.status == 413


async def test_a_content_that_never_ends_is_waited_for_not_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It holds nothing up."""
    from asgi_multitier.admin import reading as module

    monkeypatch.setattr(module, "_PATIENCE", 0.01)

    async def receive() -> Any:
        await asyncio.Event().wait()

    async with made() as manager:
        app = manager.admin(OPERATOR)

        async def slow(scope: Any, _: Any, send: Any) -> None:
            await app(scope, receive, send)

        reply = await Person(slow).reply("POST", "/api/mode", body={"mode": "off"})

    assert (reply.status, manager.mode) == (408, "on")


async def test_a_client_that_leaves_before_it_has_sent_all_gets_nothing() -> None:
    """And changes nothing."""
    parts = [
        {"type": "http.request", "body": b'{"mode":', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return parts.pop(0)

    async with made() as manager:
        app = manager.admin(OPERATOR)

        async def leaving(scope: Any, _: Any, send: Any) -> None:
            await app(scope, receive, send)

        reply = await Person(leaving).reply("POST", "/api/mode", body={"mode": "off"})

    assert (reply.messages, parts, manager.mode) == ([], [], "on")


# Health.


@pytest.mark.parametrize(
    ("healthy", "degraded", "starting", "found"),
    [
        (True, False, False, [(200, b"ok"), (200, b"ok"), (200, b"ok")]),
        (True, True, False, [(200, b"degraded"), (200, b"degraded"), (503, b"degraded")]),
        (False, True, False, [(503, b"down")] * 3),
        (True, False, True, [(200, b"ok"), (503, b"down"), (503, b"down")]),
    ],
)
async def test_probes_learn_one_word(
    healthy: bool, degraded: bool, starting: bool, found: list[tuple[int, bytes]]
) -> None:
    """Alive; ready; and ready with all tiers."""

    class Ill(CacheManager):
        @property
        def starting(self) -> bool:
            return starting

        async def health(self) -> Health:
            return Health(healthy, degraded, (), True)

    async with Ill(redis_url=None, namespace="shop") as manager:
        client = Client(manager.admin(OPERATOR))
        paths = ("/healthz", "/readyz", "/readyz?strict=1")
        replies = [await client.get(path) for path in paths]

    assert [(reply.status, reply.body) for reply in replies] == found
    assert {reply.get("content-type") for reply in replies} == {b"text/plain; charset=utf-8"}


# Runs.


async def test_runs_under_way_are_listed() -> None:
    """With how long they have taken, and for how many."""
    gate, clock = asyncio.Event(), FakeClock()

    async def compute() -> int:
        await gate.wait()
        return 1

    async with made(clock=clock) as manager:
        tasks = [asyncio.create_task(manager.get_or_compute("a", compute, 60)) for _ in range(3)]
        tasks.append(asyncio.create_task(manager.get_or_compute("b", compute, 60)))
        await until(lambda: [f.waiting for f in manager.engine.flights.current()] == [3, 1])
        clock.advance(2)
        person = Person(manager.admin(OPERATOR))
        found, first = [await person.get(f"/api/flights{q}") for q in ("", "?limit=1")]
        gate.set()
        await asyncio.gather(*tasks)
        after = await person.get("/api/flights")

    assert found["flights"][0] == {
        "key": storage_key("a"),
        "route": "manager",
        "age": 2,
        "waiting": 3,
        "led": False,
        "begun": False,
    }
    assert (found["total"], len(found["flights"])) == (2, 2)
    assert (first["total"], len(first["flights"])) == (2, 1)
    assert after == {"flights": [], "total": 0}


async def test_a_run_of_an_application_has_its_route() -> None:
    """A glob stands for a rule's."""
    async with caching(answering()) as cache:
        person = Person(cache.manager.admin(OPERATOR))
        gate = asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await gate.wait()
            await answering()(scope, receive, send)

        cache.middleware.app = slow
        task = cache.client.begin("/secret")
        await until(lambda: cache.manager.engine.flights.current())
        reply = await person.reply("GET", "/api/flights")
        gate.set()
        await task

    assert read(reply, 200)["flights"][0]["led"] is True
    assert b"secret" not in reply.body


# The log.


async def test_the_last_records_are_listed() -> None:
    """The newest first, without what they name."""
    clock = FakeClock()
    async with made(clock=clock, wall=clock) as manager:
        await manager.invalidate_tags("user:zoe", "plain")
        clock.advance(3)
        await manager.invalidate_path("/users/zoe", below=True, settle=2)
        await manager.invalidate("k")
        await manager.clear()
        await manager.invalidate_tags(*(f"t:{number}" for number in range(20)))
        person = Person(manager.admin(OPERATOR))
        reply = await person.reply("GET", "/api/log")
        found, shown = read(reply, 200), await person.get("/api/log?reveal=1&limit=4")

    assert found["position"]["seq"] == 5
    assert [record["seq"] for record in found["records"]] == [5, 4, 3, 2, 1]
    assert [record["selectors"] for record in found["records"][1:]] == [
        [{"kind": "all", "text": ""}],
        [{"kind": "key", "text": "*"}],
        [{"kind": "prefix", "text": "*"}],
        [{"kind": "tag", "text": "user:*"}, {"kind": "tag", "text": "*"}],
    ]
    first = found["records"][0]
    assert (len(first["selectors"]), first["more"], first["own"]) == (16, 4, True)
    assert (found["records"][4]["age"], found["records"][3]["settle"]) == (3, 2)
    assert b"zoe" not in reply.body
    assert [record["selectors"][0]["text"] for record in shown["records"]] == [
        "t:0",
        "",
        "k",
        "/users/zoe",
    ]


async def test_a_log_of_ones_own_need_not_remember() -> None:
    """Then there are no records to list."""
    async with made() as manager:
        log = manager.engine.log

        class Plain:
            """A log with what the protocol wants alone."""

            index, stats, trusted = log.index, log.stats, True

        manager.engine.log = Plain()  # type: ignore[assignment]
        try:
            found = await Person(manager.admin(OPERATOR)).get("/api/log")
        finally:
            manager.engine.log = log

    assert found["records"] == []


# Settings.


async def test_settings_and_where_they_come_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of secrets only whether they are set."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("ASGI_MULTITIER_MAX_ENTRY=1000\nASGI_MULTITIER_VERSION=7\n")
    monkeypatch.setenv("ASGI_MULTITIER_VERSION", "8")
    monkeypatch.setenv("ASGI_MULTITIER_SECRET", "s" * 16)
    monkeypatch.setenv("ASGI_MULTITIER_CREDENTIAL_HEADERS", "x-me,x-and-me")
    monkeypatch.delenv("REDIS_URL", raising=False)
    manager = CacheManager(
        redis_url="redis://zoe:secret@cache:6379/3?health_check_interval=5#x",
        namespace="shop",
        mode="off",
        admin_token=OPERATOR,
    )
    reply = await Person(manager.admin()).reply("GET", "/api/config")
    found = {row["name"]: (row["value"], row["from"]) for row in read(reply, 200)["settings"]}
    await manager.close()

    assert found["redis_url"] == ("redis://cache:6379/3", "argument")
    assert found["namespace"] == ("shop", "argument")
    assert found["max_entry"] == (1000, ".env")
    assert found["version"] == ("8", "environment")
    assert found["secret"] == ("set", "environment")
    assert found["admin_token"] == ("set", "argument")
    assert found["credential_headers"] == (["x-and-me", "x-me"], "environment")
    assert found["l1_bytes"] == (64 * 1024 * 1024, "default")
    for text in (b"zoe", b"s" * 16, OPERATOR.encode(), b"health_check"):
        assert text not in reply.body


async def test_settings_that_were_given_whole() -> None:
    """What is set of them is not told apart."""
    manager = CacheManager(config=CacheConfig(redis_url=None, namespace="shop"))
    found = await Person(manager.admin(OPERATOR)).get("/api/config")
    rows = {row["name"]: (row["value"], row["from"]) for row in found["settings"]}

    assert rows["redis_url"] == (None, "config")
    assert rows["secret"] == (None, "config")
    assert json.dumps(found)


# The switch.


async def test_the_switch() -> None:
    """Of this process."""
    async with made() as manager:
        person = Person(manager.admin(OPERATOR))
        off = await person.post("/api/mode", {"mode": "off"})
        was = manager.mode
        on = await person.post("/api/mode", {"mode": "on"})

    assert (off, was) == ({"mode": "off", "was": "on"}, "off")
    assert on == {"mode": "on", "was": "off"}


async def test_the_switch_of_all_workers() -> None:
    """The one that is asked and the other; what asks for no mode switches nothing."""
    one, other = made(), made()
    for manager in (one, other):
        manager.workers.is_wanted = True
    async with one, other:
        await until(lambda: None not in (one.workers.number, other.workers.number))
        person = Person(one.admin(OPERATOR))
        told = await person.post("/api/mode", {"mode": "off", "scope": "host"})
        modes = (one.mode, other.mode)
        wrong = await person.reply("POST", "/api/mode", body={"mode": "on", "scope": "world"})
        silent = await one.workers.ask_all(QUESTION, {"mode": "up"})

    assert modes == ("off", "off")
    assert [(w["worker"], w["was"], w["missing"]) for w in told["workers"]] == [
        (0, "on", ""),
        (1, "on", ""),
    ]
    assert (wrong.status, one.mode, other.mode) == (422, "off", "off")
    assert [answer.value for answer in silent] == [None, None]


@pytest.mark.parametrize("settings", [{}, {"workers": False}], ids=str)
async def test_the_switch_of_all_works_where_no_worker_can_be_asked(settings: Any) -> None:
    """Before the start, and without sockets: this process is switched in any case."""
    manager = made(**settings)
    person = Person(manager.admin(OPERATOR))
    told = await person.post("/api/mode", {"mode": "off", "scope": "host"})

    assert manager.mode == "off"
    assert [(w["worker"], w["mode"], w["missing"]) for w in told["workers"]] == [(None, "off", "")]


# The page's files.


def test_files_of_the_page_are_read_once(tmp_path: Path) -> None:
    """Those of known kinds alone, and the page itself stands under the place of all."""
    for name in ("index.html", "app.js", "style.css", "icon.svg", "notes.txt", "index.py"):
        (tmp_path / name).write_text(name)
    files = read_files(tmp_path)

    assert {path: file.content for path, file in files.items()} == {
        "/": b"index.html",
        "/app.js": b"app.js",
        "/style.css": b"style.css",
        "/icon.svg": b"icon.svg",
    }
    assert files["/app.js"].kind == b"text/javascript; charset=utf-8"
    assert read_files(tmp_path / "nothing") == {}
