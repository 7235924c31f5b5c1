"""What tests of a cache that observes share: what it tells its ledger, in order."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from asgi_multitier import Rule
from asgi_multitier._types import ASGIApp
from asgi_multitier.asgi.shadowing.observer import Observer
from asgi_multitier.shadow import Edit, Observation
from tests.support import EVERYTHING, Cache, caching


@dataclass
class Observing:
    """A cache that observes.

    Attributes:
        cache: The cache.
        told: What it has told of requests.
        edits: What it has told of mutations.
    """

    cache: Cache
    told: list[Observation] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)

    @property
    def observer(self) -> Observer:
        """What observes."""
        found = self.cache.middleware._passing._shadow._observer
        assert found is not None
        return found

    def finish(self) -> list[Observation]:
        """All that is known by now."""
        self.observer.finish()
        return self.told

    def would(self) -> list[str]:
        """What would have become of the requests so far."""
        return [one.would for one in self.finish()]

    def wrong(self) -> list[bool]:
        """Whether something else would have been sent."""
        return [
            one.served is not None
            and one.answer is not None
            and one.served.digest != one.answer.digest
            for one in self.finish()
        ]


@asynccontextmanager
async def observing(
    app: ASGIApp, rules: Iterable[Rule] = EVERYTHING, **settings: Any
) -> AsyncIterator[Observing]:
    """An application behind a cache that observes, and runs."""
    async with caching(app, rules, **{"mode": "shadow", **settings}) as cache:
        found = Observing(cache)
        observed, edited = cache.manager.observed, cache.manager.ledger.edited

        def tell(one: Observation, tally: Any) -> None:
            found.told.append(one)
            observed(one, tally)

        def tell_edit(edit: Edit) -> None:
            found.edits.append(edit)
            edited(edit)

        cache.manager.observed = tell  # type: ignore[method-assign]
        cache.manager.ledger.edited = tell_edit  # type: ignore[method-assign]
        await cache.manager.start()
        yield found
