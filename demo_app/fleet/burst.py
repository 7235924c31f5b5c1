"""Many identical requests at the same moment, each over a connection of its own.

A browser opens six connections to a server at a time, so it cannot send them itself.
"""

import asyncio
import secrets
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

REQUESTS = 200
PATHS = {True: "/reports/stock", False: "/reports/stock/each"}
"""The same query: with coalescing, and without."""


async def burst(address: str, *, coalesce: bool, requests: int = REQUESTS) -> dict[str, Any]:
    """Ask one instance for something that is not cached yet, many times at once.

    Args:
        address: The instance's.
        coalesce: Whether identical requests share one run of the application.
        requests: How many.

    Returns:
        `requests`, their `path`, the `seconds` until the last answer, and how often each
        `Cache-Status` came, without its changing parts.

    Raises:
        OSError: If the instance does not answer.
    """
    where = urlsplit(address)
    path = f"{PATHS[coalesce]}?burst={secrets.token_hex(4)}"
    lines = f"GET {path} HTTP/1.1\r\nhost: {where.netloc}\r\nconnection: close\r\n\r\n".encode()
    # All connections first: then the requests come at the same moment.
    opened = await asyncio.gather(
        *(asyncio.open_connection(where.hostname, where.port) for _ in range(requests))
    )
    begun = time.perf_counter()
    try:
        for _, writer in opened:
            writer.write(lines)
        answers = await asyncio.gather(*(reader.read() for reader, _ in opened))
    finally:
        for _, writer in opened:
            writer.close()
    seconds = time.perf_counter() - begun
    statuses = Counter(map(_cache_status, answers))
    return {"requests": requests, "path": path, "seconds": seconds, "statuses": dict(statuses)}


def _cache_status(answer: bytes) -> str:
    """The field of one answer, without its lifetime."""
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "cache-status":
            return ";".join(part for part in value.strip().split(";") if "ttl=" not in part)
    raise ConnectionError("an answer has no Cache-Status field, or was cut off")
