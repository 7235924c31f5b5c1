"""What the first tier of this process holds: a list with filters, and one entry in detail."""

import re
from collections.abc import Callable
from hashlib import sha256
from heapq import heappush, heappushpop
from itertools import count
from typing import Any, TypeAlias

from ..engine.engine import Engine
from ..engine.stack import route_of
from ..entry import Entry, Slot, StoredResponse, Variants
from ..errors import InvalidationError
from ..policy.headers import combined
from ..policy.key import storage_key
from ..selectors import check_glob, glob_matches
from .reading import Ask, needs_operator
from .replies import Refusal, Reply, json_reply, seconds, wrong
from .shown import Shown
from .walking import Walks, made_of, slots_of, walk

PARAMETERS = frozenset(
    ("kind", "route", "state", "tag", "path", "glob", "sort", "limit", "cursor", "reveal")
)

_STATES = ("fresh", "stale", "dropped", "expired")
_KINDS = ("response", "value", "variants")
_GUESSING = ("tag", "path", "glob")
"""Filters by which what is left out could be guessed, one character after the other."""

_SAFE_FIELDS = (
    b"age",
    b"cache-control",
    b"content-encoding",
    b"content-language",
    b"content-type",
    b"etag",
    b"expires",
    b"last-modified",
    b"vary",
)
"""Fields of which the values are shown, to who may see all."""

_CURSOR = re.compile(r"([0-9]{1,9})-([rv]:[0-9a-f]{32})")
_SHIFT = 1_000
"""Places by which an entry may have moved since a cursor was made."""

Test: TypeAlias = Callable[[Slot], bool]


class Entries:
    """Answers about entries.

    Args:
        engine: Gives the cache's parts.
    """

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._walks = Walks()

    async def listed(self, ask: Ask) -> Reply:
        """`GET /api/entries`."""
        engine, limit = self._engine(), ask.number("limit", 1, 200, 50)
        rows = _Rows(engine, Shown(everything=ask.reveals()))
        fits, sort = _filter(ask, rows), ask.choice("sort", ("none", *_SORTS), "none")
        with self._walks.one_more():
            slots = slots_of(engine.stack.local)
            if sort != "none":
                found = await _largest(slots, fits, _SORTS[sort], limit)
                at, start = len(slots), 0
            else:
                start = _begin(ask, slots)
                found, at = await _page(slots, start, fits, limit)
        ended = at >= len(slots)
        return json_reply(
            {
                "entries": await made_of(found, rows.row),
                "scanned": at - start,
                "total": len(slots),
                "cursor": None if ended else f"{at}-{storage_key(slots[at - 1].entry.key)}",
                "complete": ended and start == 0,
            }
        )

    async def one(self, ask: Ask) -> Reply:
        """`GET /api/entries/{digest}`."""
        engine, found = self._engine(), []
        rows = _Rows(engine, Shown(everything=ask.reveals()))

        def look(slot: Slot) -> bool:
            if storage_key(slot.entry.key) == ask.argument:
                found.append(slot)
            return not found

        with self._walks.one_more():
            await walk(slots_of(engine.stack.local), 0, look)
        if not found:
            raise Refusal(404, "this process holds no such entry in its first tier")
        return json_reply(rows.detail(found[0]))


async def _page(slots: list[Slot], start: int, fits: Test, limit: int) -> tuple[list[Slot], int]:
    found: list[Slot] = []

    def look(slot: Slot) -> bool:
        if fits(slot):
            found.append(slot)
        return len(found) < limit

    return found, await walk(slots, start, look)


async def _largest(
    slots: list[Slot], fits: Test, size: Callable[[Slot], float], limit: int
) -> list[Slot]:
    heap: list[tuple[float, int, Slot]] = []
    numbers = count()

    def look(slot: Slot) -> bool:
        if fits(slot):
            item = (size(slot), next(numbers), slot)
            if len(heap) < limit:
                heappush(heap, item)
            else:
                heappushpop(heap, item)
        return True

    await walk(slots, 0, look)
    return [slot for _, _, slot in sorted(heap, key=lambda item: (-item[0], item[1]))]


def _begin(ask: Ask, slots: list[Slot]) -> int:
    """Where a cursor says to go on: after the entry that it names, if that is found near by."""
    text = ask.query.get("cursor", "")
    if not text:
        return 0
    cursor = _CURSOR.fullmatch(text)
    if cursor is None:
        raise wrong("cursor", "this is no cursor", "what an answer gave as cursor")
    at = min(int(cursor[1]), len(slots))
    for place in range(at, max(0, at - _SHIFT), -1):
        if storage_key(slots[place - 1].entry.key) == cursor[2]:
            return place
    return at


def _filter(ask: Ask, rows: "_Rows") -> Test:
    """Whether a slot is what was asked for."""
    for name in _GUESSING:
        if name in ask.query and not ask.sees_all:
            raise needs_operator(f"the filter {name}=")
    tests: list[Test] = []
    if kind := ask.choice("kind", ("", *_KINDS), ""):
        tests.append(lambda slot: kind_of(slot.entry) == kind)
    if (route := ask.query.get("route")) is not None:
        tests.append(lambda slot: route_of(slot.entry) == route)
    if (tag := ask.query.get("tag")) is not None:
        tests.append(lambda slot: tag in slot.entry.tags)
    if (path := ask.query.get("path")) is not None:
        tests.append(lambda slot: slot.entry.path == path)
    if (pattern := ask.query.get("glob")) is not None:
        tests.append(_matching(pattern))
    if state := ask.choice("state", ("", *_STATES), ""):
        tests.append(lambda slot: rows.state(slot) == state)
    return lambda slot: all(test(slot) for test in tests)


def _matching(pattern: str) -> Test:
    try:
        check_glob(pattern)
    except InvalidationError as error:
        raise wrong("glob", str(error)) from None

    def matches(slot: Slot) -> bool:
        entry = slot.entry
        texts = (entry.path, entry.name) if entry.path else (entry.key, entry.name)
        return any(text and glob_matches(pattern, text) for text in texts)

    return matches


def kind_of(entry: Entry) -> str:
    """What an entry holds, in a word."""
    if isinstance(entry.payload, StoredResponse):
        return "response"
    return "variants" if isinstance(entry.payload, Variants) else "value"


class _Rows:
    """Entries as JSON, at one moment."""

    def __init__(self, engine: Engine, shown: Shown) -> None:
        self._index = engine.index
        self._shown = shown
        self.now = engine.clock()

    def state(self, slot: Slot) -> str:
        """Whether it may be used: `fresh`, `stale`, `dropped` or `expired`."""
        entry = slot.entry
        if self.now >= entry.keep_until:
            return "expired"
        if not self._index.permits(entry):
            return "dropped"
        return "fresh" if self.now < entry.fresh_until else "stale"

    def row(self, slot: Slot) -> dict[str, Any]:
        """An entry in a list."""
        entry, shown, now = slot.entry, self._shown, self.now
        kind, payload = kind_of(entry), entry.payload
        return {
            "key": shown.key(entry.key),
            "kind": kind,
            "route": route_of(entry),
            "status": payload.status if isinstance(payload, StoredResponse) else None,
            "size": slot.size,
            "age": seconds(now - entry.created),
            "ttl": seconds(entry.fresh_until - now),
            "keep": seconds(entry.keep_until - now),
            "uses": slot.uses,
            "state": self.state(slot),
            "tags": shown.tags(entry.tags),
            "path": shown.text(entry.path),
            "name": shown.text(entry.key if kind == "value" else entry.name),
        }

    def detail(self, slot: Slot) -> dict[str, Any]:
        """An entry by itself."""
        entry, index, encoded = slot.entry, self._index, slot.encoded or {}
        return self.row(slot) | {
            "valid": index.permits(entry),
            "refresh_in": seconds(entry.refresh_at - self.now),
            "stale_while_revalidate": entry.stale_while_revalidate,
            "stale_if_error": entry.stale_if_error,
            "always_validate": entry.always_validate,
            "cost": entry.cost,
            "born": {"gen": entry.born.gen, "seq": entry.born.seq},
            "log": {"gen": index.gen, "seq": index.seq},
            "codings": [name.decode() for name, made in encoded.items() if made.body is not None],
            "variants": None if slot.variants is None else [*map(storage_key, slot.variants)],
            **self._content(entry),
        }

    def _content(self, entry: Entry) -> dict[str, Any]:
        payload = entry.payload
        if isinstance(payload, Variants):
            fields = [name.decode("latin-1") for name in payload.fields]
            return {"body": None, "content_type": None, "headers": fields, "fields": {}}
        body = payload if isinstance(payload, bytes) else payload.body
        lines = () if isinstance(payload, bytes) else payload.headers
        told = {name.decode(): combined(lines, name) for name in _SAFE_FIELDS}
        found = {name: value.decode("latin-1") for name, value in told.items() if value is not None}
        everything = self._shown.everything
        return {
            # A short content could be guessed by its digest.
            "body": {
                "bytes": len(body),
                "sha256": sha256(body).hexdigest() if everything else None,
            },
            "content_type": found.get("content-type"),
            "headers": list(dict.fromkeys(name.decode("latin-1") for name, _ in lines)),
            "fields": found if everything else {},
        }


_SORTS: dict[str, Callable[[Slot], float]] = {
    "size": lambda slot: slot.size,
    "age": lambda slot: -slot.entry.created,
    "ttl": lambda slot: slot.entry.fresh_until,
    "uses": lambda slot: slot.uses,
}
"""What the largest of is wanted; of times, those that differ from now by the most."""
