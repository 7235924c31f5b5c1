"""Requests as a server passes them to an application, with the fields of usual clients."""

from collections.abc import MutableMapping
from typing import Any, TypeAlias

Lines: TypeAlias = tuple[tuple[bytes, bytes], ...]

PLAIN: Lines = (
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"bench/1.0"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"connection", b"keep-alive"),
)
"""What a simple client sends."""

BROWSER: Lines = (
    (b"host", b"127.0.0.1:8000"),
    (b"connection", b"keep-alive"),
    (b"sec-ch-ua", b'"Chromium";v="142", "Not_A Brand";v="99"'),
    (b"sec-ch-ua-mobile", b"?0"),
    (b"sec-ch-ua-platform", b'"Linux"'),
    (
        b"user-agent",
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36",
    ),
    (b"accept", b"*/*"),
    (b"sec-fetch-site", b"same-origin"),
    (b"sec-fetch-mode", b"cors"),
    (b"sec-fetch-dest", b"empty"),
    (b"referer", b"http://127.0.0.1:8000/"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"accept-language", b"en-GB,en;q=0.9"),
)
"""What a browser sends for a script's request: 13 fields."""

CLIENTS = 64
"""Different clients that requests come from."""


def forwarded(client: int) -> Lines:
    """What a reverse proxy adds for a client; the same for all but the address."""
    address = b"203.0.113.%d" % client
    return (
        (b"x-forwarded-for", address),
        (b"x-real-ip", address),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"shop.example"),
        (b"x-forwarded-port", b"443"),
    )


def cookie(client: int) -> Lines:
    """A client's cookies: one of two themes, and an identifier of its own."""
    theme = (b"light", b"dark")[client % 2]
    return ((b"cookie", b"theme=%s; _ga=GA1.2.%d.1764000000" % (theme, 1_000_000 + client)),)


def scope_of(path: str, *lines: tuple[bytes, bytes], method: str = "GET") -> dict[str, Any]:
    """A request as uvicorn passes it, of new objects, with these field lines."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "headers": list(lines),
    }


async def receive() -> MutableMapping[str, Any]:
    """A request without content."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def discard(message: MutableMapping[str, Any]) -> None:
    """A client that takes everything."""
