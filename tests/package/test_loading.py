"""What is loaded, and when: found out in processes of their own."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import asgi_multitier
from tests.package.support import ROOT

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

OTHERS = (
    "redis", "hiredis", "sqlite3", "memcachio", "zstandard", "brotli", "gzip", "opentelemetry",
    "prometheus_client", "fastapi", "starlette", "uvicorn", "pydantic", "pytest",
)  # fmt: skip
"""What few or other processes need."""

RARE = ("shadow", "explain", "openapi", "redis", "cli", "testing", "uvicorn")
"""Parts of the package that most processes never need."""

CORE = {"cachetools", "http_sf", "msgspec", "orjson"}
"""What every cache needs."""

REQUEST = """
import asyncio
from asgi_multitier import CacheManager, CacheMiddleware, Rule

async def app(scope, receive, send):
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 5000})

async def main():
    cache = CacheManager(redis_url=None, namespace="loading", SETTINGS)
    wrapped = CacheMiddleware(app, cache, rules=[Rule("/*", 60)])
    scope = {
        "type": "http", "method": "GET", "path": "/a", "raw_path": b"/a", "query_string": b"",
        "headers": [(b"host", b"h")], "scheme": "http", "http_version": "1.1", "root_path": "",
    }
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    details = []
    async def send(message):
        details.extend(v for n, v in message.get("headers", ()) if n == b"cache-status")
    for _ in range(2):
        await wrapped(dict(scope), receive, send)
    assert [b"hit" in detail for detail in details] == [False, True]
    await cache.close()

asyncio.run(main())
"""


def loaded_by(program: str) -> set[str]:
    """The modules that a program has loaded at its end."""
    told = f"{program}\nimport sys, json\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", told],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    return set(json.loads(done.stdout.splitlines()[-1]))


def rare(modules: set[str]) -> set[str]:
    """Those of them that few need."""
    return modules & {*OTHERS, *(f"asgi_multitier.{name}" for name in RARE)}


def test_the_package_alone_loads_nothing() -> None:
    """Its names are there when they are asked for."""
    ours = {name for name in loaded_by("import asgi_multitier") if "asgi_multitier" in name}

    assert ours == {"asgi_multitier", "asgi_multitier._about"}


def test_annotations_load_no_cache() -> None:
    """A module with annotated endpoints: neither the middleware nor a manager."""
    found = loaded_by("from asgi_multitier import CacheStrategy, Policy, Rule, cached, invalidates")

    assert rare(found) == set()
    assert not found & {"asgi_multitier.asgi", "asgi_multitier.manager", "asgi_multitier.engine"}


@pytest.mark.parametrize("settings", ["", "workers=False, heartbeat=False"])
def test_a_cache_in_memory_loads_what_it_uses(settings: str) -> None:
    """Two requests, a miss and a hit; of third parties nothing but the core."""
    found = loaded_by(REQUEST.replace("SETTINGS", settings))

    assert rare(found) == set()
    assert found >= CORE


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("CacheManager()", {"redis", "hiredis", "asgi_multitier.redis"}),
        ("CacheManager(sqlite='/nowhere/a.db')", {"sqlite3"}),
        ("CacheManager(redis_url=None, compress_over=0)", {"zstandard"}),
        ("Policy(60, compress='br')", {"brotli"}),
        ("RedisTier", {"redis", "hiredis", "asgi_multitier.redis"}),
        (
            "CacheMiddleware(lambda *of: None, CacheManager(redis_url=None, mode='shadow'))",
            {"asgi_multitier.shadow"},
        ),
    ],
)
def test_what_is_used_is_loaded_when_it_is_made(program: str, expected: set[str]) -> None:
    """Not by the first request, which would wait for it."""
    names = (
        "CacheManager, CacheMiddleware, Policy, RedisTier"
        if "RedisTier" in program
        else ("CacheManager, CacheMiddleware, Policy")
    )
    found = loaded_by(f"from asgi_multitier import {names}\n{program}")

    # redis-py loads OpenTelemetry where that is installed.
    beyond = {"opentelemetry"} if "redis" in expected else {"asgi_multitier.explain"}
    assert rare(found) - beyond == expected


def test_type_checkers_see_the_names_where_they_are() -> None:
    """The imports that only they read, and the table that the interpreter reads, are the same."""
    tree = ast.parse(Path(asgi_multitier.__file__).read_text())
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If))
    read = {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert read == asgi_multitier._ROOMS
    assert {*read, "__version__"} == set(asgi_multitier.__all__)
    assert set(asgi_multitier.__all__) <= set(dir(asgi_multitier))
    with pytest.raises(AttributeError, match="'asgi_multitier' has no attribute 'Cache'"):
        asgi_multitier.Cache  # noqa: B018  # type: ignore[attr-defined]
