"""Invalidations by hand within a request are repeated when the application returns.

Dependencies with `yield`, and middlewares that hold a session, commit after the endpoint has called
`invalidate_tags`, even after the response was sent. A request that reads in between stores the old
row.

A context variable leads from a call to the request in which it is made: through tasks, worker
threads and middlewares, which all copy the context. A task that outlives its request finds that the
request has ended, and nothing is repeated: the task itself invalidates what it commits, afterwards.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..selectors import Selector
from .marks import ALL

MAX_NOTED = 10_000
"""Selectors of one request; beyond it they become "everything", as in the log."""

_MAX_KEPT = 1_000


class Dropper(Protocol):
    """What invalidates. Compared by identity."""

    def drop_again(
        self, selectors: Sequence[Selector], settle: float, kept: Iterable[str]
    ) -> "asyncio.Future[Any]":
        """Drop once more. The keys `kept` were stored since, and stay on this node."""


@dataclass(eq=False)
class _Dropped:
    """What one dropper dropped in one request."""

    selectors: dict[Selector, None] = field(default_factory=dict)
    settle: float = 0.0
    kept: dict[str, None] = field(default_factory=dict)

    def add(self, selectors: Sequence[Selector], settle: float) -> None:
        for selector in selectors:
            self.selectors[selector] = None
            if selector.kind == "key":
                self.kept.pop(selector.text, None)
        self.settle = max(self.settle, settle)
        if len(self.selectors) > MAX_NOTED:
            self.selectors = {ALL: None}


@dataclass(eq=False)
class _RunningRequest:
    """A request under way.

    Attributes:
        outer: The request around it, where one cache is inside another.
        owner: The cache that handles the request.
        root_path: The root path of its scope, from the server or a mount around the cache.
    """

    outer: "_RunningRequest | None"
    owner: object
    root_path: str
    open: bool = True
    noted: dict[Dropper, _Dropped] = field(default_factory=dict)


_current: ContextVar[_RunningRequest | None] = ContextVar("asgi_multitier_request", default=None)


class Repeating:
    """A run of the application: at its end, even by an error, what it dropped is dropped again.

    Args:
        owner: The cache that handles the request.
        root_path: The root path of its scope.
    """

    __slots__ = ("_request", "_token")

    def __init__(self, owner: object, root_path: str) -> None:
        self._request = _RunningRequest(_current.get(), owner, root_path)

    async def __aenter__(self) -> None:
        """It begins."""
        self._token = _current.set(self._request)

    async def __aexit__(self, *_: object) -> None:
        """It has ended."""
        _current.reset(self._token)
        request = self._request
        request.open = False
        # In the context of the request around this one, which commits even later and repeats it.
        for dropper, noted in request.noted.items():
            await asyncio.shield(
                dropper.drop_again(tuple(noted.selectors), noted.settle, tuple(noted.kept))
            )


def note(dropper: Dropper, selectors: Sequence[Selector], settle: float) -> None:
    """Something was dropped; within a request, this is repeated at its end."""
    request = _innermost()
    if request is not None:
        request.noted.setdefault(dropper, _Dropped()).add(selectors, settle)


def note_kept(dropper: Dropper, keys: Iterable[str]) -> None:
    """New values were stored by hand: the repetition at the end of this request spares them."""
    request = _innermost()
    noted = None if request is None else request.noted.get(dropper)
    if noted is not None and len(noted.kept) < _MAX_KEPT:
        noted.kept.update(dict.fromkeys(keys))


def root_paths(owner: object) -> Iterator[str]:
    """The root paths of the owner's requests to which the running code belongs, ended or not."""
    request = _current.get()
    while request is not None:
        if request.owner is owner:
            yield request.root_path
        request = request.outer


def _innermost() -> _RunningRequest | None:
    """The innermost request to which the running code belongs and that has not ended."""
    request = _current.get()
    while request is not None and not request.open:
        request = request.outer
    return request
