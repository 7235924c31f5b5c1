"""Which code is part of which run: a run that asks for its own key must not wait for itself."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar


class _Nesting:
    """That some code runs for a key. A task that it leaves behind outlives it, and may wait."""

    __slots__ = ("cache", "key", "over")

    def __init__(self, cache: object, key: str) -> None:
        self.cache = cache
        self.key = key
        self.over = False


_within: ContextVar[tuple[_Nesting, ...]] = ContextVar("asgi_multitier_within", default=())
"""The runs that the running code is part of."""


@contextmanager
def running_for(cache: object, key: str) -> Iterator[None]:
    """Mark the code inside as part of a cache's run for a key: another cache's is another run."""
    run = _Nesting(cache, key)
    token = _within.set((*_within.get(), run))
    try:
        yield
    finally:
        run.over = True
        # A run whose event loop is gone is ended by the garbage collector, in another context.
        with suppress(ValueError):
            _within.reset(token)


def waits_for_itself(cache: object, key: str) -> bool:
    """Whether the running code is part of this cache's run for the key: joining it never ends."""
    return any(run.key == key and run.cache is cache and not run.over for run in _within.get())
