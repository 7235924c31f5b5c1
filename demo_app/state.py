"""What an instance tells of itself: its work for clients, and what it knows of the others."""

from pydantic import BaseModel
from starlette.requests import Request

from asgi_multitier import CacheManager

from .settings import Framework, Settings
from .source import Question, SlowSource


class State(BaseModel):
    """One instance.

    Attributes:
        name, framework: Which.
        tiers: `l1` is its memory, `l2` the shared server, if there is one.
        calls: Calls of its source since it started, by query.
        total: Their sum.
        trusted: Whether it follows the invalidation log: False after 3 s without contact.
        queued: Selectors of edits that it has answered and could not write to the log yet.
        shared: Entries that it has written to the shared server.
    """

    name: str
    framework: Framework
    tiers: list[str]
    calls: dict[Question, int]
    total: int
    trusted: bool
    queued: int
    shared: int


def state_of(request: Request) -> State:
    """The state of the instance that answers this request."""
    settings: Settings = request.app.state.settings
    source: SlowSource = request.app.state.source
    cache: CacheManager = request.state.cache
    log = cache.invalidation_stats()
    tiers = cache.tier_stats()
    return State(
        name=settings.name,
        framework=settings.framework,
        tiers=[f"l{tier.level}" for tier in tiers],
        calls=dict(source.calls),
        total=source.calls.total(),
        trusted=log.trusted,
        queued=log.queued,
        shared=sum(tier.writes for tier in tiers[1:]),
    )
