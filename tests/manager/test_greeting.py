"""What is said at start: one line with what was found, once for all workers of a server."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi import Cookie, FastAPI
from fastapi.testclient import TestClient

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule, cached, invalidates
from asgi_multitier.events.start_lines import shown_by
from asgi_multitier.workers.first import is_first
from tests.patience import wait_for
from tests.servers import free_port


def shop(cache: CacheManager, marked: bool = True, **options: Any) -> FastAPI:
    """An application with a route of each kind."""
    app = FastAPI()

    @app.get("/products/{id}")
    async def product(id: int) -> int:  # noqa: A002
        return id

    @app.get("/offers")
    async def offers() -> int:
        return 1

    @app.get("/health")
    async def health() -> int:
        return 1

    @app.get("/skins")
    async def skins(skin: str = Cookie("plain")) -> str:
        return skin

    @app.put("/products/{id}")
    async def restock(id: int) -> int:  # noqa: A002
        return id

    if marked:
        cached(300, tags=["product:{id}"])(product)
        cached(10, shadow=True)(offers)
        invalidates(tags=["product:{id}"])(restock)
    app.add_middleware(CacheMiddleware, cache=cache, **options)
    return app


NOTHING = (
    "; nothing is cached: write @cached on an endpoint that answers GET, or let `asgi-multitier "
    "init` propose where"
)
REFUSED = (
    "2 routes cached, 1 only observed, 0 bypassed, 1 that change data, 1 refused (/skins depends "
    "on the cookie skin)"
)
SHADOW = (
    "1 route cached, 1 only observed, 2 bypassed, 1 that change data; mode=shadow: no request is "
    "answered from the cache"
)


@pytest.mark.parametrize(
    ("settings", "options", "line"),
    [
        ({}, {}, "1 route cached, 1 only observed, 2 bypassed, 1 that change data"),
        (
            {},
            {"default": Policy.from_origin()},
            REFUSED,
        ),
        ({}, {"marked": False}, f"0 routes cached, 4 bypassed, 1 that change data{NOTHING}"),
        (
            {},
            {"marked": False, "rules": [Rule("/x/*", 5)]},
            "0 routes cached, 4 bypassed, 1 that change data",
        ),
        (
            {"mode": "shadow"},
            {},
            SHADOW,
        ),
    ],
)
def test_one_line_says_what_was_found(
    settings: Any, options: Any, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Name, tiers, and what becomes of the routes; not again for a request."""
    cache = CacheManager(redis_url=None, namespace="shop", **settings)
    app = shop(cache, **options)
    with caplog.at_level(logging.INFO, "asgi_multitier"), TestClient(app) as client:
        client.get("/products/1")
        client.get("/health")
    told = [text for text in caplog.messages if text.startswith("shop: memory")]

    assert told == [f"shop: memory; {line}"]


def test_it_is_said_without_a_lifespan_too(caplog: pytest.LogCaptureFixture) -> None:
    """At the first request."""
    client = TestClient(shop(CacheManager(redis_url=None, namespace="shop")))
    with caplog.at_level(logging.INFO, "asgi_multitier"):
        client.get("/health")
        client.get("/products/1")

    assert sum(text.startswith("shop: memory; 1 route cached") for text in caplog.messages) == 1


def test_tiers_are_named_with_their_place(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """In the order in which they are asked."""
    cache = CacheManager(sqlite=tmp_path / "cache.db", namespace="shop")
    with caplog.at_level(logging.INFO, "asgi_multitier"), TestClient(shop(cache)):
        pass

    assert any(f"shop: memory, then sqlite ({tmp_path}" in text for text in caplog.messages)


def test_an_application_of_an_unknown_kind(caplog: pytest.LogCaptureFixture) -> None:
    """It is said that only rules decide."""

    class Odd:
        routes = ("one", "two")

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    cache = CacheManager(redis_url=None, namespace="shop")
    with caplog.at_level(logging.INFO, "asgi_multitier"):
        TestClient(CacheMiddleware(Odd(), cache)).get("/")

    assert any("Odd are not known, so rules decide" in t for t in caplog.messages)


@contextmanager
def no_handlers() -> Iterator[None]:
    """As in a process in which logging is not configured."""
    root, saved = logging.getLogger(), logging.getLogger().handlers
    root.handlers = []
    try:
        yield
    finally:
        root.handlers = saved


def _nothing(_: logging.Logger) -> None:
    """Nothing is configured."""


def _server_shows(server: logging.Logger) -> None:
    server.addHandler(logging.NullHandler())
    server.setLevel(logging.INFO)


def _server_is_quiet(server: logging.Logger) -> None:
    server.addHandler(logging.NullHandler())
    server.setLevel(logging.WARNING)


def _own_is_quiet(server: logging.Logger) -> None:
    _server_shows(server)
    logging.getLogger("asgi_multitier").setLevel(logging.WARNING)


def _own_is_shown(server: logging.Logger) -> None:
    _server_shows(server)
    own = logging.getLogger("asgi_multitier")
    own.addHandler(logging.NullHandler())
    own.setLevel(logging.INFO)


@pytest.mark.parametrize(
    ("configure", "name"),
    [
        (_nothing, None),
        (_server_shows, "uvicorn.error"),
        (_server_is_quiet, None),
        (_own_is_quiet, None),
        (_own_is_shown, "asgi_multitier"),
    ],
)
def test_the_line_goes_where_it_is_seen(
    configure: Callable[[logging.Logger], None], name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the server's logger only where nothing is configured for the package's own."""
    server, own = logging.getLogger("uvicorn.error"), logging.getLogger("asgi_multitier")
    for one in (server, own):
        monkeypatch.setattr(one, "handlers", [])
        monkeypatch.setattr(one, "level", logging.NOTSET)
        monkeypatch.setattr(one, "propagate", one is own)
        one._cache.clear()  # type: ignore[attr-defined]  # levels that were looked up
    with no_handlers():
        configure(server)
        found = shown_by()
        shown = None if found is None else found.name
    for one in (server, own):
        one._cache.clear()  # type: ignore[attr-defined]

    assert shown == name


def test_nobody_says_what_another_has_said() -> None:
    """Another text is said, and so is the same of another application."""
    assert is_first("shop", "one")
    assert not is_first("shop", "one")
    assert is_first("shop", "two")
    assert is_first("books", "one")


KILLED = """
import os, sys
from asgi_multitier.workers.first import is_first

os.getppid, sys.argv = (lambda: 1), ["server"]
print(*(is_first("shop", text) for text in TEXTS), flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_has_left_is_removed(runtime: Path) -> None:
    """And it is said again what it has said."""
    for texts in (["one", "two"], ["two", "three"]):
        code = KILLED.replace("TEXTS", repr(texts))
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert ended.stdout.split() == ["True", "True"]

    assert len(list(runtime.rglob("*.lock"))) == 2  # of the second one's texts


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no private directories")
def test_it_is_said_where_there_is_no_place_for_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather by each worker than by none."""

    def fails(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr("asgi_multitier.workers.first.make", fails)
    assert is_first("shop", "one")
    assert is_first("shop", "one")
    monkeypatch.setattr("asgi_multitier.workers.first.has_locks", lambda: False)
    assert is_first("shop", "one")


APPLICATION = """
from fastapi import FastAPI
from asgi_multitier import CacheManager, CacheMiddleware, cached

app = FastAPI()
app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None, namespace="shop"))


@app.get("/products/{id}")
@cached(300)
async def product(id: int) -> int:
    return id
"""


@contextmanager
def served(place: Path, *options: str, **environ: str) -> Iterator[Path]:
    """The application behind uvicorn as a newcomer starts it; the file of what it writes."""
    (place / "shop.py").write_text(APPLICATION)
    written = place / "written"
    command = [sys.executable, "-m", "uvicorn", "shop:app", "--port", str(free_port()), *options]
    with written.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=place,
            env={**os.environ, **environ},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            yield written
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.no_cover
@pytest.mark.parametrize("debug", ["", "1"])
def test_a_newcomer_sees_it_once(debug: str, tmp_path: Path, runtime: Path) -> None:
    """With uvicorn's own logging, whatever the number of workers; in debug mode the table too."""
    with served(tmp_path, "--workers", "3", ASGI_MULTITIER_DEBUG=debug) as written:

        def all_started() -> bool:
            return written.read_text().count("Application startup complete") == 3

        wait_for(all_started, 15.0)
        text = written.read_text()

    line = "INFO:     asgi-multitier: shop: memory; 1 route cached, 0 bypassed\n"
    assert text.count(line) == text.count("asgi-multitier: shop:") == 1
    assert text.count("shop: debug mode is on") == len(debug)
    assert text.count("never in production: unset ASGI_MULTITIER_DEBUG") == len(debug)
    assert text.count("ROUTE ") == text.count("\n/products/{id} ") == len(debug)
