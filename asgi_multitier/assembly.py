"""How the parts of one cache are put together."""

import hashlib
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from ._types import Clock
from .breaker import CircuitBreaker
from .coalescing import Flights
from .coherence.log import InvalidationLog
from .config import CacheConfig
from .engine import Engine
from .errors import ConfigError
from .events import Events
from .fleet import Leases
from .stack import Format, Placed, TierStack
from .tiers.base import LocalTier, SharedTier, TierConfig

Tier = LocalTier | SharedTier


def place(tiers: Iterable[tuple[Tier, TierConfig]], config: CacheConfig) -> list[Placed]:
    """The shared tiers in their places, by level.

    Raises:
        ConfigError: If one is no shared tier.
    """
    placed = []
    for tier, where in sorted(tiers, key=lambda pair: pair[1].level):
        if not isinstance(tier, SharedTier):
            allowed = "a SharedTier; a LocalTier can only be the first"
            raise ConfigError.of("tier", tier, allowed, where=f"level {where.level}")
        breaker = CircuitBreaker(config.breaker_failures, config.breaker_reset)
        placed.append(Placed(tier, where, breaker))
    return placed


def assemble(
    config: CacheConfig,
    local: tuple[LocalTier, TierConfig],
    shared: Sequence[Placed],
    log: InvalidationLog,
    leases: Leases | None,
    *,
    namespace: str,
    clock: Clock,
    wall: Clock,
    compress_over: int | None,
) -> Engine:
    """The engine of one cache."""
    events = Events()
    tier, where = local
    stack = TierStack(
        tier,
        shared,
        log,
        events,
        form=Format(
            namespace=namespace,
            version=config.version,
            secret=config.secret,
            max_entry=config.max_entry,
            compress_over=compress_over,
        ),
        local_scale=where.ttl_scale,
        timeout=config.redis_timeout,
        clock=clock,
        wall=wall,
    )
    flights: Flights[Any] = Flights(
        log.index,
        max_flights=config.max_flights,
        max_waiters=config.max_waiters,
        clock=clock,
    )
    return Engine(
        config=config,
        stack=stack,
        flights=flights,
        log=log,
        index=log.index,
        events=events,
        leases=leases,
        clock=clock,
        wall=wall,
    )


_FRAMEWORKS = frozenset({"starlette", "fastapi", "asgi_multitier", "__main__"})


def name_of(app: object, endpoints: Iterable[object] = ()) -> str:
    """A name for an application that stays the same over its releases and differs from others'.

    Made of its title, where it has one of its own, and of the package that its endpoints live in.
    """
    title = getattr(app, "title", "")
    title = title if isinstance(title, str) and title != "FastAPI" else ""
    modules = (getattr(endpoint, "__module__", None) or "" for endpoint in endpoints)
    packages = [module for module in modules if module.partition(".")[0] not in _FRAMEWORKS]
    place = packages[0].partition(".")[0] if packages else _script()
    text = f"{title}-{place}" if title else place
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")
    if plain == text and len(plain) <= 64:
        return plain
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{plain[:48] or 'app'}-{digest}"


def _script() -> str:
    """The program's own name, where nothing else tells."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name).removesuffix(".__main__").partition(".")[0]
    return PurePath(sys.argv[0] or "app").stem or "app"
