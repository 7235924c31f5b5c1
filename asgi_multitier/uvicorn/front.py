"""What the connections of one server share: the cache that they ask, and the requests it knows.

Layers are looked at again whenever uvicorn has renewed its own header lines, once a second: tools
put layers around an application also while it runs.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any
from weakref import WeakKeyDictionary

from .._types import Header, Receive, Scope, Send
from ..asgi.middleware import CacheMiddleware
from ..asgi.replay import Prepared
from ..events import Events
from .heads import Heads
from .outermost import Missing, Outermost, Outside, outermost
from .remembered import Known, Requests

_SHARE = 8
"""Requests and heads may take this part of the bytes of the first tier."""

_Client = tuple[str, int] | None


class Front:
    """One server's place in front of its application.

    Args:
        app: What the server calls.

    Attributes:
        cache: The cache to ask; None while hits go by ASGI.
        requests: What was asked lately.
        defaults: The server's own header lines, in the list of its last second.
        lines: The same, in the first list that was equal: heads with them are still right.
    """

    def __init__(self, app: object) -> None:
        self._app = app
        self._found: Outermost | Outside | Missing = Missing.NOT_BUILT
        self._proxy: Any = None
        self._root_path: str | None = None
        self._origins: dict[tuple[str, bool], tuple[str, bool]] = {}
        self.cache: CacheMiddleware | None = None
        self.requests: Requests = Requests(0)
        self._heads = Heads(0)
        self.defaults: Sequence[Header] | None = None
        self.lines: Sequence[Header] = ()

    def look(self, defaults: Sequence[Header]) -> None:
        """Look where the cache stands, and say in the log if hits go by ASGI.

        Args:
            defaults: The server's own header lines.
        """
        self.defaults = defaults
        if self.lines != defaults:
            self.lines = defaults
        found = outermost(self._app)
        if found == self._found:
            return
        self._found = found
        self.cache = None
        self.requests.clear()
        if isinstance(found, Outermost):
            self.cache, self._root_path = found.cache, found.root_path
            self._proxy = _alone(found.proxy)
            room = found.cache.manager.config.l1_bytes // _SHARE // 2
            self.requests, self._heads = Requests(room), Heads(room)
        elif isinstance(found, Outside):
            Events.layer_outside(found.layer)
        elif found is Missing.NOWHERE:
            Events.no_cache_in_front()

    def origin_of(self, scheme: str, client: _Client) -> tuple[str, bool]:
        """What of a connection determines how its requests are read: equal ones are identical."""
        trusted = self._proxy is not None and (client and client[0]) in self._proxy.trusted_hosts
        origin = (scheme, bool(trusted))
        return self._origins.setdefault(origin, origin)

    def ask(self, scope: Scope, origin: object) -> Known | None:
        """What is known of a request that was parsed; None if it goes by ASGI.

        Args:
            scope: The request as uvicorn would give it to the application, as far as it says what
                is asked; it is changed as by the layers around the cache.
            origin: See `origin_of`.
        """
        cache = self.cache
        if cache is None:
            return None
        client = scope["client"]
        if self._proxy is not None:
            _run(self._proxy, scope)
        if self._root_path is not None:
            scope["root_path"] = self._root_path
        found = cache.in_front.find(scope)
        if found is None:
            return None
        told = None if scope["client"] == client else scope["client"]
        return Known(found, origin, told, scope)

    def answer(self, known: Known) -> Prepared | None:
        """The answer to a request, with its head in `known.head`; None if it goes by ASGI.

        It is counted as answered.
        """
        if self.cache is None:
            return None
        prepared = self.cache.in_front.ready(known.found)
        if prepared is None:
            return None
        if known.lines is not prepared.lines or known.defaults is not self.lines:
            known.head = self._heads.head_of(prepared, self.lines)
            known.lines, known.defaults = prepared.lines, self.lines
        if known.head is None:
            self.cache.in_front.withdraw(known.found)
            return None
        return prepared


_FRONTS: WeakKeyDictionary[Any, Front] = WeakKeyDictionary()


def front_of(config: Any) -> Front:
    """The front of a server, by its configuration."""
    front = _FRONTS.get(config)
    if front is None:
        front = _FRONTS[config] = Front(config.loaded_app)
    return front


def _alone(layer: Any) -> Any:
    """A layer as it is, that calls nothing; None where there is none."""
    alone = copy(layer)
    if alone is not None:
        alone.app = _nothing
    return alone


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers nothing: what a layer does to a scope is done before."""


def _run(layer: Any, scope: Scope) -> None:
    """Have a layer that waits for nothing do its part."""
    try:
        layer(scope, None, None).send(None)
    except StopIteration:
        return
