"""Dropping by hand: `POST /api/invalidate`."""

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import Context
from typing import Any

from ..coherence.index import Index
from ..entry import Born, Entry, Slot
from ..errors import CacheError
from ..events import MANAGER
from ..selectors import Selector, aliased
from ..tiers.base import ListingTier
from .cache import Administered
from .others import ask_others
from .reading import Ask
from .replies import Refusal, Reply, json_reply
from .shown import Shown
from .walking import Walks, made_of, slots_of, walk
from .wanted import Wanted, refused, wanted

PATIENCE = 5.0
"""Seconds that the other workers may take to count."""


class Invalidating:
    """Answers about what is to be dropped.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Administered) -> None:
        self._cache = cache
        self._walks = Walks()

    async def answer(self, ask: Ask) -> Reply:
        """`POST /api/invalidate`."""
        want = wanted(ask.body, self._cache)
        named = Shown(everything=True).selectors(want.selectors)  # as the client itself wrote them
        if want.dry_run:
            counted = await self._counted(want)
            if want.on_host and self._cache.config.workers:
                others = await ask_others(
                    self._cache.workers, "POST", "api/invalidate", _dry(ask.body), PATIENCE
                )
                counted = _with_others(counted, others, self._cache.workers.number)
            return json_reply({"dry_run": True, "selectors": named, **counted})
        exact = {one for one in want.selectors if one.kind in _EXACT}
        held = self._held() if exact else None  # before it is dropped
        position = await self._dropped(want)
        kinds = ", ".join(sorted({selector.kind for selector in want.selectors}))
        what = f"invalidate {len(want.selectors)} selectors ({kinds})"
        self._cache.engine.events.acted(what, ask.right, ask.client)
        told = {"gen": position.gen, "seq": position.seq} if position is not None else None
        committed = position is not None
        answer = {
            "dry_run": False,
            "selectors": named,
            "position": told,
            "committed": committed,
            "queued": not committed,
            "unmatched": await self._unmatched(exact, held),
            "seen": await self._seen(position, want.wait),
        }
        return json_reply(answer, 200 if committed else 503)

    async def _dropped(self, want: Wanted) -> Born | None:
        """Drop it, whether or not the client stays: so it does not stand in its request."""
        cache = self._cache
        if any(selector.kind == "all" for selector in want.selectors):
            cache.engine.stack.local.clear()

        async def drop() -> Born | None:
            begin = cache.begin_with(want.settle)
            return await cache.begin_invalidation(want.selectors, begin)

        task = asyncio.create_task(drop(), name="asgi-multitier admin", context=Context())
        try:
            position = await asyncio.shield(task)
        except CacheError as error:
            raise refused(error) from None
        cache.engine.events.invalidated(MANAGER, "admin")
        return position

    async def _seen(self, position: Born | None, wait: float) -> dict[str, Any] | None:
        """Which instances have it, after so many seconds at most; None if that is not asked for."""
        if position is None or not wait:
            return None
        return (await self._cache.seen(position, wait)).as_json()

    def _held(self) -> list[Slot] | None:
        """What the first tier holds; None if it cannot tell."""
        local = self._cache.engine.stack.local
        return local.slots() if isinstance(local, ListingTier) else None

    async def _unmatched(
        self, exact: set[Selector], held: Sequence[Slot] | None
    ) -> list[dict[str, str]] | None:
        """What names nothing of all that was held, valid or not; None if that is not known.

        A drop is never refused because it cannot be told, nor does it wait for it.
        """
        if not exact:
            return []
        if held is None:
            return None
        left = set(exact)

        def look(slot: Slot) -> None:
            left.difference_update(_names_of(slot.entry))

        try:
            with self._walks.one_more():
                await made_of(held, look)
        except Refusal:
            return None
        return Shown(everything=True).selectors(sorted(left))

    async def _counted(self, want: Wanted) -> dict[str, Any]:
        """What of it this process holds in its first tier."""
        engine = self._cache.engine
        counting = _Counting(want.selectors, engine.index)
        with self._walks.one_more():
            await walk(slots_of(engine.stack.local), 0, counting.look)
        here = {"entries": counting.entries, "bytes": counting.bytes}
        return {"here": here, "unmatched": Shown(everything=True).selectors(counting.unmatched())}


def _dry(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same for another worker, which never drops anything for that."""
    return {**body, "dry_run": True}


def _with_others(
    counted: dict[str, Any], others: Sequence[dict[str, Any]], number: int | None
) -> dict[str, Any]:
    """A count with those of the other workers: what is named in none of them is unmatched."""
    entries, size = counted["here"]["entries"], counted["here"]["bytes"]
    unmatched, workers = counted["unmatched"], [{"worker": number, "missing": ""}]
    for other in others:
        here = other.get("here")
        whole = isinstance(here, dict) and isinstance(other.get("unmatched"), list)
        numbers = (
            [here.get(name) for name in ("entries", "bytes")] if isinstance(here, dict) else []
        )
        if whole and all(type(one) is int for one in numbers):
            entries, size = entries + numbers[0], size + numbers[1]
            unmatched = [one for one in unmatched if one in other["unmatched"]]
            missing = ""
        else:
            missing = other["missing"] or "failed"
        workers.append({"worker": other["worker"], "missing": missing})
    host = {"entries": entries, "bytes": size, "workers": workers}
    return {**counted, "host": host, "unmatched": unmatched}


_EXACT = ("key", "tag", "path")
"""Kinds of selectors that name one thing."""


class _Counting:
    """Counts what selectors select, by the very rules by which entries become invalid."""

    def __init__(self, selectors: Sequence[Selector], index: Index) -> None:
        self.entries = self.bytes = 0
        self._valid = index
        self._ours = Index(max_globs=len(selectors) + 1)
        self._ours.enter(_GENERATION, 0)
        self._ours.apply(1, selectors)
        self._missing = {s for s in selectors if s.kind in _EXACT}

    def look(self, slot: Slot) -> bool:
        """Count it if it is selected and valid; True."""
        entry = slot.entry
        names = (entry.key, entry.name, entry.path, entry.route, entry.tags)
        if not self._ours.permits_fill(_BEFORE, *names) and self._valid.permits(entry):
            self.entries += 1
            self.bytes += slot.size
            if self._missing:
                self._missing.difference_update(_names_of(entry))
        return True

    def unmatched(self) -> list[Selector]:
        """What names one thing exactly, and nothing that is held: perhaps a slip of the pen."""
        return sorted(self._missing)


_GENERATION = "counting"
_BEFORE = Born(_GENERATION, 0)


def _names_of(entry: Entry) -> list[Selector]:
    paths = filter(None, (entry.path, aliased(entry.tags)))
    keys = filter(None, (entry.key, entry.name))
    return [
        *(Selector("key", key) for key in keys),
        *(Selector("tag", tag) for tag in entry.tags),
        *(Selector("path", path) for path in paths),
    ]
