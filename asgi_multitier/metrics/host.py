"""The figures of all workers of a machine: what each answers, and how answers become one."""

import asyncio
import os
from asyncio.events import _get_running_loop as loop_here
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from contextvars import Context
from typing import Any, Protocol

from .._about import __version__
from ..engine.engine import Engine
from ..workers import Answer, Workers
from .hot import hot_keys, hottest
from .report import Routes, counted, routes_of, shown, summed
from .slices import in_slices
from .text import Lines, in_pieces, joined, lines

PATIENCE = 5.0
"""Seconds that the others may take to write their figures; a scraper waits for ten by default."""

_FEW = 4
"""Routes between two looks at the clock."""


class Measured(Protocol):
    """A cache, as far as its figures are concerned."""

    workers: Workers

    @property
    def engine(self) -> Engine:
        """Its parts."""

    @property
    def namespace(self) -> str:
        """What separates it from others."""

    @property
    def mode(self) -> str:
        """Whether it is used."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that it lives in; None while it does not run."""


def answer_workers(cache: Measured) -> None:
    """Let the other workers of this machine have this one's figures."""

    async def text(asked: Mapping[str, Any]) -> AsyncIterator[str]:
        return written(cache, openmetrics=asked.get("openmetrics") is True)

    async def stats(asked: Mapping[str, Any]) -> dict[str, Any]:
        route = asked.get("route")
        return await _stats(cache, route if isinstance(route, str) else None)

    async def hot(asked: Mapping[str, Any]) -> dict[str, Any]:
        look_at_hits(cache)
        return hot_keys(cache.engine, reveal=asked.get("reveal") is True)

    cache.workers.answers("hot", hot)
    cache.workers.answers("metrics", text)
    cache.workers.answers("stats", stats)


def watched(cache: Measured) -> Engine:
    """The cache's parts, for somebody who reads its figures."""
    look_at_hits(cache)
    return cache.engine


def look_at_hits(cache: Measured) -> None:
    """Somebody reads the figures: have hits looked at for a while, if the cache runs."""
    loop = cache.loop
    if loop is not None and loop is loop_here():
        cache.engine.sampler.want()
    elif loop is not None:
        with suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(cache.engine.sampler.want, context=Context())


# Text.


def lines_of(cache: Measured, *, openmetrics: bool, worker: int | None) -> Lines:
    """The lines of this process.

    Args:
        cache: The cache.
        openmetrics: Whether they are OpenMetrics.
        worker: Its number, which becomes a label; None for no label.
    """
    return lines(
        cache.engine,
        cache.namespace,
        __version__,
        openmetrics=openmetrics,
        worker=worker,
    )


def written(cache: Measured, *, openmetrics: bool) -> AsyncIterator[str]:
    """The text of this process in pieces, with its number as a label if it has one."""
    look_at_hits(cache)
    made = lines_of(cache, openmetrics=openmetrics, worker=cache.workers.number)
    return in_pieces(in_slices(made))


async def all_written(cache: Measured, *, openmetrics: bool) -> AsyncIterator[str]:
    """The text of all workers in pieces, joined by family."""
    answers = await cache.workers.ask_all("metrics", {"openmetrics": openmetrics}, PATIENCE)
    texts = [answer.value for answer in answers if isinstance(answer.value, list)]
    for piece in joined(texts, len(answers) - len(texts), openmetrics=openmetrics):
        yield piece


# JSON.


def process_hot(cache: Measured, limit: int, *, reveal: bool) -> dict[str, Any]:
    """The keys of this process that are asked for most."""
    look_at_hits(cache)
    return hottest([hot_keys(cache.engine, reveal=reveal)], limit)


async def host_hot(cache: Measured, limit: int, *, reveal: bool) -> dict[str, Any]:
    """The keys of all workers that are asked for most."""
    answers = await cache.workers.ask_all("hot", {"reveal": reveal}, PATIENCE)
    told = [one.value for one in answers if isinstance(one.value, dict) and "keys" in one.value]
    return hottest(told, limit)


def process_json(cache: Measured, route: str | None) -> dict[str, Any]:
    """The statistics of this process."""
    routes = Routes()
    for name, counts in routes_of(cache.engine, route):
        routes.add(name, [counts])
    this = {"worker": cache.workers.number, "pid": os.getpid(), "missing": ""}
    return shown(_heading(cache, "process", [this]), routes, counted(cache.engine))


async def host_json(cache: Measured, route: str | None) -> dict[str, Any]:
    """The statistics of all workers, summed; what has no sum is this process's."""
    asked = {} if route is None else {"route": route}
    answers = await cache.workers.ask_all("stats", asked, PATIENCE)
    answers.sort(key=lambda answer: answer.worker != cache.workers.number)
    parts = [answer.value for answer in answers if _is_whole(answer)]
    routes = Routes()
    names = dict.fromkeys(name for part in parts for name in part["routes"])
    async for name in in_slices(names, _FEW):
        routes.add(name, [part["routes"][name] for part in parts if name in part["routes"]])
    states = [_state(answer) for answer in answers]
    return shown(_heading(cache, "host", states), routes, summed(part["rest"] for part in parts))


async def _stats(cache: Measured, route: str | None) -> dict[str, Any]:
    """What this process tells the others."""
    routes = {name: found async for name, found in in_slices(routes_of(cache.engine, route), _FEW)}
    return {"pid": os.getpid(), "routes": routes, "rest": counted(cache.engine)}


def _heading(cache: Measured, scope: str, workers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "scope": scope,
        "namespace": cache.namespace,
        "version": __version__,
        "mode": cache.mode,
        "workers": workers,
    }


def _is_whole(answer: Answer) -> bool:
    """Whether it is what `_stats` gives; one of another release may give something else."""
    value = answer.value
    return isinstance(value, dict) and all(
        isinstance(value.get(part), dict) for part in ("routes", "rest")
    )


def _state(answer: Answer) -> dict[str, Any]:
    is_whole = _is_whole(answer)
    missing = "" if is_whole else answer.missing or "failed"
    pid = answer.value.get("pid") if is_whole else None
    return {"worker": answer.worker, "pid": pid, "missing": missing}
