"""What all compared applications answer, with whatever cache in front of them.

Every answer of a route carries the number of its run, so that two equal ones prove a hit. It needs
no cache installed: the applications of other caches run in an environment of their own.
"""

import asyncio
from collections import Counter
from typing import Any

TEXT = "x" * 910
BODY = b'{"id":7,"run":1,"name":"a product of the catalogue","text":"' + TEXT.encode() + b'"}'
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(BODY)).encode()),
]

SLOW = 0.5
"""Seconds that the route of the stampede takes."""

QUERY = 0.02
"""Seconds that a book takes to read."""

RUNS: Counter[str] = Counter()
"""How often each route has run."""

_versions: Counter[int] = Counter()


def item(item_id: int) -> dict[str, Any]:
    """A product, made at once; about 1 KB of JSON."""
    RUNS["items"] += 1
    name = "a product of the catalogue"
    return {"id": item_id, "run": RUNS["items"], "name": name, "text": TEXT}


async def slow(item_id: int) -> dict[str, Any]:
    """A product that takes half a second."""
    RUNS["slow"] += 1
    await asyncio.sleep(SLOW)
    return item(item_id)


async def book(book_id: int) -> dict[str, Any]:
    """A book at the version that is current when the query begins."""
    RUNS["books"] += 1
    version = _versions[book_id]
    await asyncio.sleep(QUERY)
    return {"version": version, "id": book_id, "text": TEXT}


def edit(book_id: int) -> dict[str, Any]:
    """A new version of a book."""
    _versions[book_id] += 1
    return {"version": _versions[book_id], "id": book_id}
