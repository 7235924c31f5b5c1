"""Who is let in, under which names, and how often one may fail."""

import logging
from typing import Any

import pytest

from asgi_multitier.admin.failures import MAX_CLIENTS, MAX_FAILURES, Failures
from asgi_multitier.admin.hosts import Hosts, is_same_origin
from asgi_multitier.errors import ConfigError
from asgi_multitier.testing import FakeClock
from tests.admin.support import JSON, OPERATOR, VIEWER, Person, bearer, made, read
from tests.support import Client, Visit

PATHS = ("", "/", "/api", "/api/entries", "/healthz", "/readyz", "/metrics", "/api/events", "/x")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
async def test_without_anyone_who_may_ask_there_is_nothing(path: str, method: str) -> None:
    """Every path is unknown, and says so in one way."""
    async with made() as manager:
        reply = await Client(manager.admin()).request(method, path, [bearer(OPERATOR)])

    assert reply.status == 404
    assert bool(reply.body) == (method != "HEAD")
    assert reply.get("www-authenticate") is None


RIGHT, LEFT_OUT = [bearer(OPERATOR)], bearer(OPERATOR[:-1])


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (RIGHT, 200),
        ([("authorization", f"bearer {OPERATOR}")], 200),
        ([], 401),
        ([("authorization", "")], 401),
        ([("authorization", OPERATOR)], 401),
        ([("authorization", f"Basic {OPERATOR}")], 401),
        ([("authorization", f"Bearer  {OPERATOR}")], 401),
        ([("authorization", f"Bearer {OPERATOR} ")], 401),
        ([LEFT_OUT], 401),
        ([bearer(OPERATOR + "o")], 401),
        ([bearer(OPERATOR.upper())], 401),
        ([bearer("é" * 40)], 401),
        ([("authorization", b"Bearer \xff\x00\xfe")], 401),
        ([*RIGHT, *RIGHT], 401),
        ([*RIGHT, bearer(VIEWER)], 401),
        ([("cookie", f"token={OPERATOR}")], 401),
        ([("proxy-authorization", f"Bearer {OPERATOR}")], 401),
    ],
)
async def test_a_token_counts_in_one_line_alone(lines: list[Any], status: int) -> None:
    """And letter for letter."""
    async with made() as manager:
        reply = await Client(manager.admin(token=OPERATOR)).get("/api", lines)

    assert reply.status == status
    assert (reply.get("www-authenticate") == b"Bearer") == (status == 401)


async def test_a_wrong_token_is_not_a_missing_one() -> None:
    """What is said differs; the token is not in it."""
    async with made() as manager:
        client = Client(manager.admin(token=OPERATOR))
        missing, wrong = await client.get("/api"), await client.get("/api", [bearer(VIEWER)])

    assert b"send a token" in missing.body
    assert b"is not a token of this application" in wrong.body
    assert VIEWER.encode() not in wrong.body


@pytest.mark.parametrize("path", ["/api?token=" + OPERATOR, "/api?access_token=" + OPERATOR])
async def test_a_token_in_the_url_is_none(path: str) -> None:
    """It would stand in logs."""
    async with made() as manager:
        reply = await Client(manager.admin(token=OPERATOR)).get(path)

    assert reply.status == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api", 200),
        ("HEAD", "/api", 200),
        ("GET", "/api/entries", 200),
        ("GET", "/metrics", 200),
        ("POST", "/api/invalidate", 403),
        ("POST", "/api/mode", 403),
        ("POST", "/api/warm", 403),
        ("GET", "/api/entries?reveal=1", 403),
        ("GET", "/api/entries?tag=user:1", 403),
        ("GET", "/api/entries?path=/users/1", 403),
        ("GET", "/api/entries?glob=/users/*", 403),
        ("GET", "/api/log?reveal=1", 403),
        ("GET", "/api/events?reveal=1", 403),
        ("GET", "/api/entries?reveal=0", 200),
        ("GET", "/api/entries?route=/users/{id}", 200),
    ],
)
async def test_a_viewer_looks_and_guesses_nothing(method: str, path: str, status: int) -> None:
    """What is left out for viewers cannot be found out by a filter either."""
    async with made() as manager:
        viewer = Person(manager.admin(OPERATOR, VIEWER), VIEWER)
        reply = await viewer.reply(method, path, body={"tags": ["a"]} if method == "POST" else None)

    assert reply.status == status
    if status == 403:
        assert read(reply, 403)["rights"] == "operator"


async def test_where_nothing_is_left_out_a_viewer_sees_all() -> None:
    """`redact=False`."""
    async with made() as manager:
        await manager.set("user:1", 1, 60, tags=["user:1"])
        viewer = Person(manager.admin(OPERATOR, VIEWER, redact=False), VIEWER)
        found = await viewer.get("/api/entries?tag=user:1")

    assert [(row["name"], row["tags"]) for row in found["entries"]] == [("user:1", ["user:1"])]


@pytest.mark.parametrize("token", ["", "short", " " * 32, "é" * 32, 5, b"t" * 32])
@pytest.mark.parametrize("option", ["token", "viewer_token"])
def test_a_token_that_can_be_guessed_is_refused(token: Any, option: str) -> None:
    """The message does not show it."""
    with pytest.raises(ConfigError, match=f"CacheManager.admin: {option}= is .*token_url") as told:
        made().admin(**{option: token})

    assert not (isinstance(token, str) and len(token) > 5 and token in str(told.value))


@pytest.mark.parametrize(
    "options",
    [
        {"token": OPERATOR, "viewer_token": OPERATOR},
        {"authorize": "operator"},
        {"hosts": ["https://ops.example"]},
        {"hosts": ["ops.example:8000"]},
        {"hosts": ["*"]},
        {"hosts": [5]},
        {"redact": 1},
        {"read_only": "yes"},
    ],
)
def test_what_means_nothing_is_refused(options: dict[str, Any]) -> None:
    """Where it is written."""
    with pytest.raises(ConfigError, match=r"CacheManager\.admin"):
        made().admin(**options)


async def test_the_token_of_the_settings_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment; one that is given counts before it."""
    monkeypatch.setenv("ASGI_MULTITIER_ADMIN_TOKEN", OPERATOR)
    async with made() as manager:
        apps = manager.admin(), manager.admin(VIEWER)
        statuses = [
            (await Person(app, token).reply("GET", "/api")).status
            for app in apps
            for token in (OPERATOR, VIEWER)
        ]

    assert statuses == [200, 401, 401, 200]
    assert OPERATOR not in repr(manager.config)


# `authorize`.


async def _sync_or_async(right: Any, *, awaited: bool) -> Any:
    async def authorize(scope: Any) -> Any:
        return right

    return authorize if awaited else lambda scope: right


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize(
    ("right", "get", "post"),
    [("operator", 200, 200), ("viewer", 200, 403), (None, 401, 401), (True, 401, 401)],
)
async def test_a_function_may_say_who_may_ask(
    right: Any, get: int, post: int, awaited: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Sync or async; what is no right is none, and logged."""
    local = [("host", "localhost:9090")]
    async with made() as manager:
        authorize = await _sync_or_async(right, awaited=awaited)
        client = Client(manager.admin(authorize=authorize))
        found = (await client.get("/api", local)).status
        visit = Visit(body=b'{"mode": "on"}')
        changed = (await client.request("POST", "/api/mode", [*local, JSON], visit=visit)).status

    assert (found, changed) == (get, post)
    assert ("authorize=" in caplog.text) == (right is True)


async def test_a_function_that_raises_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    """It is counted, and logged once."""

    def authorize(scope: Any) -> Any:
        raise KeyError("user")

    async with made() as manager:
        client = Client(manager.admin(authorize=authorize))
        statuses = {(await client.get("/api", [("host", "[::1]")])).status for _ in range(3)}

    assert statuses == {401}
    assert manager.stats().failures["authorize"] == 3
    assert caplog.text.count("authorize= of") == 1
    assert "the request is refused" in caplog.text


async def test_a_function_cannot_change_the_request() -> None:
    """It gets a copy."""

    def authorize(scope: Any) -> Any:
        scope["method"] = "POST"
        return "operator"

    async with made() as manager:
        reply = await Client(manager.admin(authorize=authorize)).get(
            "/api", [("host", "localhost")]
        )

    assert reply.status == 200


async def test_a_token_is_known_where_a_function_says_nothing() -> None:
    """Both ways in stand open."""
    async with made() as manager:
        app = manager.admin(OPERATOR, authorize=lambda scope: None)
        statuses = [(await Person(app, token).reply("GET", "/api")).status for token in (OPERATOR,)]

    assert statuses == [200]


# Names.

HOSTILE = [
    "127.evil.example",
    "localhost.evil.example",
    "evil.example",
    "127.0.0.1.evil.example",
    "0.0.0.0",
    "10.0.0.1",
    "[::2]",
    "[::ffff:10.0.0.1]",
    "127.0.0.1@evil.example",
    "127.0.0.1, evil.example",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "",
    "localhost:port",
    "[::1",
    "localhost\x00",
]
HARMLESS = [
    "localhost",
    "LOCALHOST:8000",
    "127.0.0.1",
    "127.8.9.1:9090",
    "[::1]:9090",
    "[::ffff:127.0.0.1]",
    "ops.example",
    "OPS.example:443",
]


@pytest.mark.parametrize(
    ("host", "allowed"),
    [*((host, False) for host in HOSTILE), *((host, True) for host in HARMLESS)],
)
async def test_only_names_that_are_named_are_answered(host: str, allowed: bool) -> None:
    """With the names given, for each right, and for the page's files as well."""
    async with made() as manager:
        app = manager.admin(OPERATOR, hosts=["ops.example"])
        reply = await Person(app).reply("GET", "/api", ("host", host))

    assert reply.status == (200 if allowed else 421)


@pytest.mark.parametrize("host", [*HOSTILE, "ops.example"])
async def test_a_function_alone_is_asked_for_the_machine_itself(host: str) -> None:
    """Else a page of a stranger, whose name leads here, could ask in its visitor's place."""
    asked: list[Any] = []

    def authorize(scope: Any) -> Any:
        asked.append(scope)
        return "operator"

    async with made() as manager:
        reply = await Client(manager.admin(authorize=authorize)).get("/api", [("host", host)])

    assert (reply.status, asked) == (421, [])


@pytest.mark.parametrize("lines", [[], [(b"host", b"localhost"), (b"host", b"localhost")]])
async def test_a_request_has_one_host(lines: list[tuple[bytes, bytes]]) -> None:
    """None, or several, is no name."""
    async with made() as manager:
        app = manager.admin(OPERATOR, hosts=[])
        token = tuple(text.encode() for text in bearer(OPERATOR))
        reply = await Client(app).get("/api", lines=[*lines, token])

    assert reply.status == 421


async def test_probes_need_no_name() -> None:
    """An orchestrator asks by address, without a token, and learns one word."""
    async with made() as manager:
        client = Client(manager.admin(OPERATOR, hosts=["ops.example"]))
        replies = [
            await client.get(path, [("host", "10.1.2.3")]) for path in ("/healthz", "/readyz")
        ]

    assert [(reply.status, reply.body) for reply in replies] == [(200, b"ok")] * 2


def test_an_address_of_version_six_may_be_given_plainly() -> None:
    """With or without brackets."""
    for name in ("2001:db8::1", "[2001:db8::1]"):
        assert Hosts([name]).allow(b"[2001:db8::1]:80")
    assert Hosts("ops.example").allow(b"ops.example")


# Pages of others.


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        ([], True),
        ([(b"sec-fetch-site", b"same-origin")], True),
        ([(b"sec-fetch-site", b"none")], True),
        ([(b"sec-fetch-site", b"same-site")], False),
        ([(b"sec-fetch-site", b"cross-site")], False),
        ([(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site")], False),
        ([(b"origin", b"http://ops.example")], True),
        ([(b"origin", b"https://ops.example")], True),
        ([(b"origin", b"https://OPS.example:443")], True),
        ([(b"origin", b"http://ops.example:81")], False),
        ([(b"origin", b"http://evil.example")], False),
        ([(b"origin", b"http://ops.example.evil.example")], False),
        ([(b"origin", b"http://ops.example@evil.example")], False),
        ([(b"origin", b"null")], False),
        ([(b"origin", b"")], False),
        ([(b"origin", b"http://ops.example"), (b"origin", b"http://evil.example")], False),
    ],
)
def test_a_page_of_another_origin_sends_nothing(
    lines: list[tuple[bytes, bytes]], same: bool
) -> None:
    """What a browser says of it counts; a script says nothing."""
    assert is_same_origin(lines, b"ops.example") is same


def test_without_a_host_no_page_is_of_the_same_origin() -> None:
    """As with two `Host` lines: which of them is meant is not known."""
    assert is_same_origin([(b"origin", b"http://ops.example")], None) is False


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([JSON], 200),
        ([("content-type", "Application/JSON; charset=utf-8")], 200),
        ([("content-type", "text/plain")], 415),
        ([("content-type", "application/x-www-form-urlencoded")], 415),
        ([("content-type", "multipart/form-data; boundary=application/json")], 415),
        ([("content-type", "text/plain;application/json")], 415),
        ([("content-type", "")], 415),
        ([JSON, JSON], 415),
        ([JSON, ("origin", "http://evil.example")], 403),
        ([JSON, ("sec-fetch-site", "cross-site")], 403),
    ],
)
async def test_a_form_of_another_page_changes_nothing(
    lines: list[tuple[str, str]], status: int
) -> None:
    """Even with a token."""
    async with made() as manager:
        reply = await Person(manager.admin(OPERATOR)).reply(
            "POST", "/api/mode", *lines, body={"mode": "off"}
        )

    assert reply.status == status
    assert manager.mode == ("off" if status == 200 else "on")
    assert reply.get("access-control-allow-origin") is None


# Failures.


async def test_a_client_that_fails_too_often_has_to_wait() -> None:
    """Per address; who has a token is never shut out by others behind the same proxy."""
    async with made() as manager:
        app = manager.admin(OPERATOR)
        stranger, other = Person(app, "x" * 40), {"client": ("10.0.0.2", 1)}
        statuses = [(await stranger.reply("GET", "/api")).status for _ in range(MAX_FAILURES)]
        late = await stranger.reply("GET", "/api")
        elsewhere = await stranger.reply("GET", "/api", **other)
        operator = await Person(app).reply("GET", "/api")

    assert set(statuses) == {401}
    assert (late.status, elsewhere.status, operator.status) == (429, 401, 200)
    assert 1 <= int(late.get("retry-after") or b"0") <= 60


async def test_while_a_client_waits_the_function_is_not_asked() -> None:
    """It may look passwords up."""
    asked = 0

    def authorize(scope: Any) -> Any:
        nonlocal asked
        asked += 1

    async with made() as manager:
        client = Client(manager.admin(authorize=authorize))
        for _ in range(50):
            await client.get("/api", [("host", "localhost")])

    assert asked == MAX_FAILURES


def test_failures_are_forgotten_after_a_minute() -> None:
    """Counted from the first of them."""
    clock = FakeClock()
    failures = Failures(clock)
    for _ in range(MAX_FAILURES):
        assert failures.left("10.0.0.1") == 0
        failures.add("10.0.0.1")
    clock.advance(20)

    assert failures.left("10.0.0.1") == 40
    assert failures.left("10.0.0.2") == 0
    clock.advance(40)
    assert failures.left("10.0.0.1") == 0
    failures.add("10.0.0.1")
    assert failures.left("10.0.0.1") == 0
    for _ in range(MAX_FAILURES - 1):
        failures.add("10.0.0.1")
    assert failures.left("10.0.0.1") == 60  # the next minute has a count of its own


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("a.sock", "a.sock", True),
        ("a" * 64 + "b", "a" * 64 + "c", True),
    ],
)
def test_one_client_has_many_addresses_of_version_six(one: str, other: str, together: bool) -> None:
    """A whole network of them."""
    failures = Failures(FakeClock())
    for _ in range(MAX_FAILURES):
        failures.add(one)

    assert (failures.left(other) > 0) is together


async def test_strangers_fill_no_memory() -> None:
    """Ten thousand requests from as many addresses."""
    async with made() as manager:
        app = manager.admin(OPERATOR)
        person = Person(app, "x" * 40)
        for number in range(10_000):
            client = (f"10.{number >> 8}.{number & 255}.1", 1)
            await person.reply("GET", f"/api/{number}", client=client)
        failures = app._rights.failures

    assert len(failures) == MAX_CLIENTS


async def test_a_server_that_names_no_client_is_one_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As behind a socket in the file system."""
    caplog.set_level(logging.INFO, "asgi_multitier")
    async with made() as manager:
        app = manager.admin(OPERATOR)
        stranger = Person(app, "x" * 40)
        replies = [await stranger.reply("GET", "/api", client=None) for _ in range(11)]
        await Person(app).reply("POST", "/api/mode", body={"mode": "off"}, client=None)

    assert [reply.status for reply in replies] == [401] * 10 + [429]
    assert "admin.act: mode off, by operator at an unknown address" in caplog.text
