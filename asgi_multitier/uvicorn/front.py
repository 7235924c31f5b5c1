"""What the connections of one server share: the cache that they ask, and the requests it knows.

Layers are looked at again whenever uvicorn has renewed its own header lines, once a second: tools
put layers around an application also while it runs.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.protocols.utils import get_path_with_query_string

from .._types import Header, Receive, Scope, Send
from ..asgi.middleware import CacheMiddleware
from ..asgi.replay import Replay
from ..events import Events
from .asking import Question, answer, ask, count
from .heads import head_of
from .outermost import Missing, Outermost, Outside, outermost
from .remembered import Known, Requests

_SHARE = 8
"""Requests may take this part of the bytes of the first tier."""

_Client = tuple[str, int] | None


class Front:
    """One server's place in front of its application.

    Args:
        app: What the server calls.

    Attributes:
        cache: The cache to ask; None while hits go by ASGI.
        requests: What was asked lately.
        defaults: The server's own header lines when the layers were last looked at.
    """

    def __init__(self, app: object) -> None:
        self._app = app
        self._found: Outermost | Outside | Missing = Missing.NOT_BUILT
        self._proxy: Any = None
        self._origins: dict[tuple[str, bool], tuple[str, bool]] = {}
        self.cache: CacheMiddleware | None = None
        self.requests = Requests(0)
        self.defaults: object = None

    def look(self, defaults: object) -> None:
        """Look where the cache stands, and say in the log if hits go by ASGI."""
        self.defaults = defaults
        found = outermost(self._app)
        if found == self._found:
            return
        self._found = found
        self.cache = self._proxy = None
        self.requests.clear()
        if isinstance(found, Outermost):
            self.cache = found.cache
            self.requests = Requests(found.cache.manager.config.l1_bytes // _SHARE)
            if found.proxy is not None:
                self._proxy = copy(found.proxy)
                self._proxy.app = _nothing
        elif isinstance(found, Outside):
            Events.layer_outside(found.layer)
        elif found is Missing.NOWHERE:
            Events.no_cache_in_front()

    def origin_of(self, scheme: str, client: _Client) -> tuple[str, bool]:
        """What of a connection determines how its requests are read: equal ones are identical."""
        trusted = self._proxy is not None and (client and client[0]) in self._proxy.trusted_hosts
        origin = (scheme, bool(trusted))
        return self._origins.setdefault(origin, origin)

    def ask(self, question: Question, origin: object, client: _Client) -> Known | None:
        """What is known of a request that was parsed; None if it is no plain hit.

        Args:
            question: The request, with the scheme of its connection and the server's root path.
            origin: See `origin_of`.
            client: Who has sent it.
        """
        cache, found = self.cache, self._found
        if cache is None or not isinstance(found, Outermost):
            return None
        told = client
        if self._proxy is not None:
            scope: Scope = {
                "type": "http",
                "client": client,
                "scheme": question.scheme,
                "headers": question.headers,
            }
            _run(self._proxy, scope)
            told, question = scope["client"], question._replace(scheme=scope["scheme"])
        if found.root_path is not None:
            question = question._replace(root_path=found.root_path)
        asked = ask(cache, question)
        if asked is None:
            return None
        seen = {"path": question.path, "query_string": question.query}
        target = get_path_with_query_string(seen)  # type: ignore[arg-type]  # all that it reads
        return Known(asked, origin, None if told == client else told, (question.method, target))

    def answer(self, known: Known, defaults: Sequence[Header]) -> Replay | None:
        """The answer to a request, with its head in `known.head`; None if it is no plain hit.

        It is counted as answered.
        """
        if self.cache is None:
            return None
        replay = answer(self.cache, known.asked)
        if replay is None:
            return None
        if known.lines is not replay.lines or known.defaults is not defaults:
            known.head = head_of(replay.status, replay.lines, defaults, len(replay.body))
            known.lines, known.defaults = replay.lines, defaults
        if known.head is None:
            return None
        count(known.asked)
        return replay


_FRONTS: WeakKeyDictionary[Any, Front] = WeakKeyDictionary()


def front_of(config: Any) -> Front:
    """The front of a server, by its configuration."""
    front = _FRONTS.get(config)
    if front is None:
        front = _FRONTS[config] = Front(config.loaded_app)
    return front


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers nothing: what a layer does to a scope is done before."""


def _run(layer: Any, scope: Scope) -> None:
    """Have a layer that waits for nothing do its part."""
    try:
        layer(scope, None, None).send(None)
    except StopIteration:
        return
