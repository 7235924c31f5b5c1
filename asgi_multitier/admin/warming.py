"""Filling the cache by hand: `POST /api/warm`."""

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from ..warming.pace import CONCURRENCY, RATE
from ..warming.popularity import MOST
from ..warming.report import WarmPart
from .cache import Administered
from .others import ask_others, on_host
from .reading import Ask
from .replies import Refusal, Reply, again_in, json_reply, wrong

NAMES = frozenset(("targets", "top", "base_url", "concurrency", "rate", "skip", "scope"))
"""The members of the object that says what is to be asked for."""

MAX_TARGETS = 500
"""Targets of one request."""

SECONDS = 1.0
"""Seconds for which responses are begun; the client asks again for the rest."""

PATIENCE = 7.0
"""Seconds that a response may take. With those above it is less than what sockets wait."""

_OTHERS = SECONDS + PATIENCE + 0.5
"""Seconds that other workers may take."""

_COUNTS = ("asked", "stored", "hits", "failed")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be asked for.

    Attributes:
        targets: Paths and URLs; None for what clients ask for most.
        top: How many of these.
        skip: How many are left out.
        base_url: The scheme and host of paths.
        concurrency, rate: The pace.
        on_host: Whether other workers are asked as well, where they share no tier.
    """

    targets: list[str] | None
    top: int
    skip: int
    base_url: str | None
    concurrency: int
    rate: float
    on_host: bool


class Warming:
    """Answers about warm-ups.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Administered) -> None:
        self._cache = cache
        self._goes_on = False

    async def answer(self, ask: Ask) -> Reply:
        """`POST /api/warm`.

        Where there is a shared tier this process alone asks its application, and the others find
        the responses there. Without one each worker of this machine asks its own.
        """
        want = _wanted(ask.body)
        if self._goes_on:
            raise Refusal(
                503, "a warm-up goes on here already; try again", again_in(SECONDS + PATIENCE)
            )
        self._goes_on = True
        try:
            parts = await self._warmed(want, ask)
        finally:
            self._goes_on = False
        told = _joined(parts)
        self._cache.engine.events.acted(f"warm {told['asked']} targets", ask.right, ask.client)
        return json_reply(told)

    async def _warmed(self, want: _Wanted, ask: Ask) -> list[dict[str, Any]]:
        """What each worker has done that was asked, this one first."""
        own, others = await asyncio.gather(
            self._warmed_here(want, ask), self._warmed_elsewhere(want, ask), return_exceptions=True
        )
        if isinstance(own, BaseException):
            raise own
        if isinstance(others, BaseException):
            raise others
        return [own, *others]

    async def _warmed_here(self, want: _Wanted, ask: Ask) -> dict[str, Any]:
        try:
            part = await self._cache.warm_part(
                want.targets,
                top=want.top,
                skip=want.skip,
                seconds=SECONDS,
                patience=PATIENCE,
                base_url=want.base_url,
                concurrency=want.concurrency,
                rate=want.rate,
            )
        except ConfigError as error:
            raise wrong("targets", str(error)) from None
        shown = want.targets is not None or not ask.redact
        return {**_told(part, revealed=shown), "worker": self._cache.workers.number, "missing": ""}

    async def _warmed_elsewhere(self, want: _Wanted, ask: Ask) -> list[dict[str, Any]]:
        """What others have done: where there is a shared tier they find the responses there."""
        cache = self._cache
        if not want.on_host or want.targets is None or cache.engine.stack.shared:
            return []
        # A worker that no client has asked yet does not know the host.
        body = {**ask.body, "base_url": want.base_url or cache.usual_origin}
        told = await ask_others(cache.workers, "POST", "api/warm", body, _OTHERS)
        return [
            one if _is_whole(one) else {**one, "missing": one["missing"] or "failed"}
            for one in told
        ]


def _told(part: WarmPart, *, revealed: bool) -> dict[str, Any]:
    """A part as JSON: what clients ask for is not named."""
    report = part.report
    failures = [
        {"url": url if revealed else None, "why": why if revealed else why.partition(":")[0]}
        for url, why in report.failures.items()
    ]
    return {
        "asked": report.asked,
        "stored": report.stored,
        "hits": report.hits,
        "bypassed": dict(report.bypassed),
        "failed": report.failed,
        "failures": failures,
        "of": part.of,
        "done": part.done,
        "detail": part.detail,
        "pid": os.getpid(),
    }


def _is_whole(told: Mapping[str, Any]) -> bool:
    """Whether another worker has answered as this release does."""
    counts = [told.get(name) for name in (*_COUNTS, "done", "of", "pid")]
    lists = isinstance(told.get("bypassed"), dict) and isinstance(told.get("failures"), list)
    return lists and all(type(count) is int for count in counts)


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What all have done together; how far they are is what the last of them is."""
    came = [part for part in parts if not part["missing"]]
    bypassed: Counter[str] = Counter()
    for part in came:
        bypassed.update(part["bypassed"])
    done, of = min(part["done"] for part in came), came[0]["of"]
    return {
        **{name: sum(part[name] for part in came) for name in _COUNTS},
        "bypassed": dict(bypassed),
        "failures": [one for part in came for one in part["failures"]][:_MOST_SHOWN],
        "of": of,
        "done": done,
        "next": done if done < of else None,
        "detail": came[0]["detail"],
        "pid": came[0]["pid"],
        "workers": [{name: part.get(name) for name in _WORKER} for part in parts],
    }


_WORKER = ("worker", "pid", "missing", "asked", "stored", "hits", "failed")
_MOST_SHOWN = 20


def _wanted(given: Mapping[str, Any]) -> _Wanted:
    """Read what is to be asked for.

    Raises:
        Refusal: 422, with the field that is not allowed.
    """
    targets, top = given.get("targets"), given.get("top")
    if (targets is None) is (top is None):
        raise wrong("", "expected either targets or top", "targets, top")
    if targets is not None and not _are_texts(targets):
        raise wrong("targets", "targets is no list of texts", "a list of paths and URLs")
    if targets is not None and not 1 <= len(targets) <= MAX_TARGETS:
        raise wrong("targets", f"{len(targets)} targets", f"1 to {MAX_TARGETS}")
    base_url = given.get("base_url")
    if base_url is not None and not isinstance(base_url, str):
        raise wrong("base_url", "base_url is no text", "a text, such as 'https://shop.example'")
    return _Wanted(
        targets=targets,
        top=_whole(given, "top", 1, MOST, 1),
        skip=_whole(given, "skip", 0, MOST, 0),
        base_url=base_url,
        concurrency=_whole(given, "concurrency", 1, 100, CONCURRENCY),
        rate=_whole(given, "rate", 1, 1_000, int(RATE)),
        on_host=on_host(given),
    )


def _are_texts(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(text, str) for text in found)


def _whole(given: Mapping[str, Any], name: str, low: int, high: int, default: int) -> int:
    found = given.get(name)
    if found is None:
        return default
    if type(found) is not int or not low <= found <= high:
        raise wrong(name, f"{name} is not allowed", f"a whole number from {low} to {high}")
    return found
