"""Each command over each way to a real application: the same cache, the same answers."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier.cli.exits import Exit
from asgi_multitier.cli.main import main
from tests.cli.admin import TOKEN
from tests.patience import PATIENCE, until, wait_for
from tests.servers import ValkeyServer


@dataclass
class Real:
    """An application that runs.

    Attributes:
        cache: Its cache.
        url: Where its admin application is.
        redis: Where its log is.
    """

    cache: CacheManager
    url: str
    redis: str

    def way(self, name: str) -> list[str]:
        """The options for a way to it."""
        named = ["--namespace", self.cache.namespace]
        if name == "url":
            return ["--url", self.url]
        return named if name == "workers" else ["--redis", self.redis, *named]


@pytest.fixture
def real(valkey: ValkeyServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Real]:
    """An application in a server of its own thread, with a stored page."""
    monkeypatch.setenv("ASGI_MULTITIER_ADMIN_TOKEN", TOKEN)
    monkeypatch.setattr("asgi_multitier.cli.doors.shared._TIMEOUT", PATIENCE)
    cache = CacheManager(
        redis_url=valkey.url, namespace=namespace, redis_timeout=PATIENCE, dotenv=None
    )

    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    async def greeting(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.headers.get("x-salutation", "hello"))

    routes = [
        Route("/page", page),
        Route("/greetings/{number}", greeting),
        Mount("/_cache", cache.admin(token=TOKEN)),
    ]
    rules = [Rule("/page", 60, tags=["page"]), Rule("/greetings/*", 60)]
    app = CacheMiddleware(Starlette(routes=routes), cache, rules=rules)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        wait_for(lambda: server.started or not thread.is_alive())
        wait_for(lambda: cache.engine.log.trusted)
        port = listening.getsockname()[1]
        get(port, "/page")
        yield Real(cache, f"http://127.0.0.1:{port}/_cache", valkey.url)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def get(port: int, path: str, *fields: str) -> None:
    """One request, with further field lines."""
    lines = [f"GET {path} HTTP/1.1", "Host: shop", "Connection: close", *fields, "", ""]
    with closing(socket.create_connection(("127.0.0.1", port))) as client:
        client.sendall("\r\n".join(lines).encode())
        while client.recv(65536):
            continue


def answered(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """The code of a command, and its last object."""
    code = main([*arguments, "--json"])
    lines = capsys.readouterr().out.splitlines()
    return code, json.loads(lines[-1]) if lines else {}


WAYS = {
    "url": {
        "stats",
        "instances",
        "invalidate",
        "keys",
        "mode",
        "doctor",
        "tail",
        "explain",
        "report",
        "warm",
    },
    "workers": {
        "stats",
        "instances",
        "invalidate",
        "keys",
        "mode",
        "doctor",
        "explain",
        "report",
        "warm",
    },
    "redis": {"instances", "invalidate", "doctor", "tail"},
}


@pytest.mark.parametrize("way", WAYS)
def test_all_commands(way: str, real: Real, capsys: pytest.CaptureFixture[str]) -> None:
    """Each that a way has; the others say which way has it."""
    options = real.way(way)
    node = real.cache.engine.log.node  # type: ignore[attr-defined]

    code, told = answered(capsys, "instances", *options)
    wait_for(lambda: node in str(answered(capsys, "instances", *options)))
    code, told = answered(capsys, "instances", *options)
    assert (code, [one["node"] for one in told["instances"]]) == (Exit.OK, [node])

    if way != "redis":
        code, told = answered(capsys, "stats", *options)
        assert (code, told["total"]["misses"]) == (Exit.OK, 1)
        code, told = answered(capsys, "keys", "--tag", "page", *options)
        assert (code, len(told["entries"])) == (Exit.OK, 1)
        for state, number in (("fresh", 1), ("stale", 0), ("dropped", 0), ("expired", 0)):
            code, told = answered(capsys, "keys", "--tag", "page", "--state", state, *options)
            assert (code, len(told["entries"])) == (Exit.OK, number)
        code, told = answered(capsys, "mode", *options)
        assert (code, told) == (Exit.OK, {"mode": "on"})
        for mode in ("off", "on"):
            code, told = answered(capsys, "mode", mode, *options)
            assert (code, [w["mode"] for w in told["workers"]]) == (Exit.OK, [mode])
            assert real.cache.mode == mode
        code, told = answered(capsys, "warm", "/page", "/other", *options)
        assert (code, told["hits"], told["bypassed"]) == (Exit.OK, 1, {"no-rule": 1})
        code, told = answered(capsys, "explain", "http://shop/page", *options)
        assert (code, told["verdict"]) == (Exit.OK, "hit")
        code, told = answered(capsys, "report", *options)
        assert (code, told["remedy"]) == (Exit.USAGE, "asgi-multitier mode shadow")
        answered(capsys, "mode", "shadow", *options)
        code, told = answered(capsys, "report", "--clear", *options)
        assert (code, told["scope"], told["observes"]) == (Exit.OK, "host", True)
        answered(capsys, "mode", "on", *options)
    else:
        for command in (["stats"], ["keys"], ["mode"], ["report"], ["warm", "/page"]):
            code, told = answered(capsys, *command, *options)
            assert (code, "--url" in told["remedy"]) == (Exit.USAGE, True)

    code, told = answered(capsys, "invalidate", "--tag", "page", "--dry-run", *options)
    assert (code, told["here"]["entries"]) == (Exit.OK, 0 if way == "redis" else 1)
    arguments = ("invalidate", "--tag", "page", "--wait", "10", *options)
    code, told = answered(capsys, *arguments)
    assert (code, told["seen"]["by"], told["seen"]["of"]) == (Exit.OK, 1, 1)
    assert real.cache.invalidation_stats().applied["tag"] == 1

    code, told = answered(capsys, "doctor", *options)
    assert code in (Exit.OK, Exit.FINDING)
    assert {"level": "ok", "text": "1 instance, one generation of the log"} in told["checks"]


def test_a_record_that_others_cannot_read_is_not_written(
    valkey: ValkeyServer, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would drop everything there."""

    async def run() -> int:
        cache = CacheManager(
            redis_url=valkey.url,
            namespace=namespace,
            redis_timeout=PATIENCE,
            secret=b"at least sixteen bytes",
            dotenv=None,
        )
        async with cache:
            await until(lambda: cache.engine.log.trusted)
            assert (await cache.seen(wait=PATIENCE)).by_all
            ways = ["--redis", valkey.url, "--namespace", namespace]
            words = ["invalidate", "--tag", "a", "--json", *ways]
            code = await asyncio.to_thread(main, words)
            assert cache.invalidation_stats().processing_errors == 0
            return code

    assert asyncio.run(run()) == Exit.NOT_ALLOWED
    assert "ASGI_MULTITIER_SECRET" in capsys.readouterr().err


def test_what_others_may_not(real: Real, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the token nothing is told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASGI_MULTITIER_ADMIN_TOKEN", "x" * 32)
        code, _ = answered(capsys, "stats", "--url", real.url)

    assert code == Exit.NOT_ALLOWED


@pytest.mark.parametrize(("way", "kind"), [("url", "invalidation"), ("redis", "record")])
def test_tail(way: str, kind: str, real: Real, capsys: pytest.CaptureFixture[str]) -> None:
    """An invalidation is shown when it is begun there, or when its record comes."""
    ended: list[int] = []
    options = real.way(way)
    watching = threading.Thread(
        target=lambda: ended.append(
            main(["tail", "--kind", kind, "--times", "1", "--json", *options])
        )
    )
    watching.start()
    deadline = time.monotonic() + 30
    while watching.is_alive() and time.monotonic() < deadline:
        real.cache.sync.invalidate_tags("other")
        watching.join(0.1)

    assert ended == [Exit.OK]
    assert json.loads(capsys.readouterr().out)["kind"] == kind


def test_a_report_of_wrong_answers(real: Real, capsys: pytest.CaptureFixture[str]) -> None:
    """What the workers have observed, over their sockets: the cause, and what to paste."""
    options = real.way("workers")
    answered(capsys, "mode", "shadow", *options)
    port = int(real.url.rpartition(":")[2].partition("/")[0])
    for number in range(24):
        salutation = ("hello", "welcome", "welcome")[number % 3]
        get(port, f"/greetings/{number % 2}", f"X-Salutation: {salutation}")

    # A difference counts a second later: another process may have told that it is dropped.
    wait_for(lambda: answered(capsys, "report", *options)[1]["requests"] == 24)
    code, told = answered(capsys, "report", *options)
    assert code == Exit.FINDING
    [route] = told["routes"]
    assert (route["route"], route["hits"]) == ("GET /greetings/{number}", 22)
    assert [one["name"] for one in route["findings"]] == ["x-salutation"]
    assert main(["report", "--annotations", *options]) == Exit.FINDING
    assert capsys.readouterr().out == (
        '# GET /greetings/{number}\n@cached(60, vary=["x-salutation"])\n'
    )
    assert main(["report", "--clear", *options]) == Exit.FINDING
    capsys.readouterr()
    assert answered(capsys, "report", *options)[1]["requests"] == 0
