"""What a cache is and how it does: its state, runs, the log, settings, and its switch."""

import os
from collections.abc import Sequence
from typing import Any, get_args

from .._about import __version__
from ..coherence.log import Applied, RememberingLog
from ..config.process import Mode, read_mode
from ..engine.engine import Engine
from ..engine.flights import Flight
from ..engine.stack import route_of
from ..errors import ConfigError
from .cache import Administered
from .reading import Ask
from .replies import PLAIN, Reply, json_reply, seconds, wrong
from .settings import settings
from .shown import Shown
from .switching import switch, switch_all


class Overview:
    """Answers about the cache as a whole.

    Args:
        cache: The cache.
        read_only: Whether nothing can be changed here.
    """

    def __init__(self, cache: Administered, *, read_only: bool) -> None:
        self._cache = cache
        self._read_only = read_only

    async def index(self, ask: Ask, routes: Sequence[str]) -> Reply:
        """`GET /api`."""
        cache = self._cache
        return json_reply(
            {
                "version": __version__,
                "namespace": cache.namespace,
                "mode": cache.mode,
                "rights": ask.right,
                "redact": ask.redact,
                "read_only": self._read_only,
                "running": cache.running,
                "pid": os.getpid(),
                "routes": list(routes),
            }
        )

    async def flights(self, ask: Ask) -> Reply:
        """`GET /api/flights`."""
        engine, limit = self._cache.engine, ask.number("limit", 1, 500, 100)
        running = engine.flights.current()
        shown = [_flight(flight, engine) for flight in running[:limit]]
        return json_reply({"flights": shown, "total": len(running)})

    async def log(self, ask: Ask) -> Reply:
        """`GET /api/log`."""
        engine, limit = self._cache.engine, ask.number("limit", 1, 500, 100)
        shown, log, now = Shown(everything=ask.reveals()), engine.log, engine.clock()
        recent = log.recent() if isinstance(log, RememberingLog) else []
        stats = log.stats()
        records = [_record(record, shown, now) for record in reversed(recent[-limit:])]
        return json_reply(
            {
                "position": {"gen": stats.gen, "seq": stats.seq},
                "trusted": stats.trusted,
                "queued": stats.queued,
                "lag_p50": stats.lag_p50,
                "lag_p99": stats.lag_p99,
                "records": records,
            }
        )

    async def config(self, ask: Ask) -> Reply:  # noqa: ARG002  # every handler gets it
        """`GET /api/config`."""
        return json_reply(settings(self._cache.config, self._cache.origins))

    async def mode(self, ask: Ask) -> Reply:
        """`POST /api/mode`."""
        try:
            mode = read_mode(ask.body.get("mode"), "mode")
        except ConfigError as error:
            raise wrong("mode", str(error), ", ".join(get_args(Mode))) from None
        scope, was = ask.body.get("scope", "process"), self._cache.mode
        if scope == "host":
            workers = await switch_all(self._cache, mode, ask.right, ask.client)
            return json_reply({"mode": mode, "was": was, "workers": workers})
        if scope != "process":
            raise wrong("scope", "scope= is not allowed", "process, host")
        switch(self._cache, mode, ask.right, ask.client)
        return json_reply({"mode": mode, "was": was})

    async def healthy(self) -> Reply:
        """`GET /healthz`: in one word, for anyone."""
        health = await self._cache.health()
        if not health.healthy:
            return _word("down", 503)
        return _word("degraded" if health.degraded else "ok", 200)

    async def ready(self, *, strict: bool) -> Reply:
        """`GET /readyz`: the same, and whether the start is over."""
        if self._cache.starting:
            return _word("down", 503)
        reply = await self.healthy()
        worse = strict and reply.status == 200 and reply.content != b"ok"
        return Reply(503, reply.content, PLAIN) if worse else reply


def _word(word: str, status: int) -> Reply:
    return Reply(status, word.encode(), PLAIN)


def _flight(flight: Flight[Any], engine: Engine) -> dict[str, Any]:
    seed = flight.seed
    return {
        "key": Shown.key(seed.key),
        "route": route_of(seed),
        "age": seconds(max(0.0, engine.clock() - seed.created)),
        "waiting": flight.waiting,
        "led": flight.led,
        "begun": flight.begun,
    }


def _record(record: Applied, shown: Shown, now: float) -> dict[str, Any]:
    return {
        "seq": record.seq,
        "node": record.node,
        "own": record.own,
        "age": seconds(max(0.0, now - record.at)),
        "selectors": shown.selectors(record.selectors),
        "more": record.more,
        "updates": record.updates,
        "settle": record.settle,
    }
