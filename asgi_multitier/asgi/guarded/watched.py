"""What an endpoint reads of its request, where its answer is to be the same for all who are let in.

`guarded=True` without `vary_by=` says that the endpoint takes nothing from its clients. Whether it
reads the user, the session, what a dependency has left in the state, a cookie or a credential shows
only in the run.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from ...policy.credentials import Credentials
from ...routing.endpoints import Call
from ..layers.state import NotedScope, NotedState
from ..receiving import from_the_start

_PERSONAL = frozenset(("user", "session", "auth", "headers"))


class EndpointScope(NotedScope):
    """A scope for one endpoint.

    Args:
        scope: The request's.
        common: What the lifespan has put into the state of every request.
        credentials: Which names of fields say who asks.
    """

    def __init__(
        self, scope: dict[str, Any], common: Mapping[str, Any], credentials: Credentials
    ) -> None:
        super().__init__(scope)
        self._credentials = credentials
        self._state: NotedState | None = None
        shared = scope.get("state")
        if isinstance(shared, dict):
            self._state = NotedState(shared, common)
            dict.__setitem__(self, "state", self._state)

    def _matters(self, key: Any) -> bool:
        return key in _PERSONAL or super()._matters(key)

    def note_field(self, name: str) -> None:
        """A request field was asked for."""
        lower = name.lower()
        if self._credentials.include(lower.encode("latin-1", "replace")):
            self.read = True

    @property
    def has_read(self) -> bool:
        """Whether it has read what depends on who asks."""
        return self.read or (self._state is not None and self._state.read)


def takes_request(call: Call) -> bool:
    """Whether the endpoint itself is given the request."""
    return any(one is call.request for one in (*call.args, *call.kwargs.values()))


def watched(
    call: Call, common: Mapping[str, Any], credentials: Credentials, content: bytes | None = None
) -> tuple[Call, EndpointScope] | None:
    """The call with a request of its own, where the endpoint takes the request.

    Args:
        call: The call.
        common: What the lifespan has put into the state of every request.
        credentials: Which names of fields say who asks.
        content: The content of the request, which the framework may have read already.

    Returns:
        None if the framework's request cannot be made again.
    """
    request = call.request
    kind: Any = type(request)
    scope = EndpointScope(request.scope, common, credentials)
    try:
        receive = request.receive
        if content is not None:
            receive = from_the_start(receive, content)
        own = _watching(kind)(scope, receive)
        # What these build from the fields does not depend on who asks; they are kept.
        own.url, own.base_url  # noqa: B018
    except Exception:  # noqa: BLE001  # a request class of the application's own
        return None
    scope.read = False
    args = tuple(own if one is request else one for one in call.args)
    kwargs = {name: own if one is request else one for name, one in call.kwargs.items()}
    if args and getattr(args[0], "scope", None) is request.scope:
        args[0].scope = scope  # an endpoint class, made for this request
    return Call(call.endpoint, args, kwargs, request, call.response), scope


@lru_cache(32)
def _watching(kind: Any) -> Any:
    """A class of requests that notes which fields are asked for."""

    def headers(request: Any) -> Any:
        found = request.__dict__.get("_fields_asked_for")
        if found is None:
            lines = dict.get(request.scope, "headers", ())
            found = request._fields_asked_for = _noting_headers()(request.scope, list(lines))
        return found

    def cookies(request: Any) -> Any:
        request.scope.note_field("cookie")
        return kind.cookies.__get__(request)

    return type(
        kind.__name__, (kind,), {"headers": property(headers), "cookies": property(cookies)}
    )


@lru_cache(1)
def _noting_headers() -> Callable[[EndpointScope, list[Any]], Any]:
    """A class of request fields that notes which are asked for."""
    base: Any = sys.modules["starlette.datastructures"].Headers

    class NotingHeaders(base):  # type: ignore[misc]
        """Fields of one request."""

        def __init__(self, scope: EndpointScope, lines: list[Any]) -> None:
            super().__init__(raw=lines)
            self._scope = scope

        def __eq__(self, other: object) -> bool:
            self._scope.note_field("cookie")
            return bool(super().__eq__(other))

        __hash__ = None  # type: ignore[assignment]  # as those of the framework

        def mutablecopy(self) -> Any:
            self._scope.note_field("cookie")
            return super().mutablecopy()

        def __repr__(self) -> str:
            self._scope.note_field("cookie")
            return str(super().__repr__())

        def __getitem__(self, name: str) -> str:
            self._scope.note_field(name)
            return str(super().__getitem__(name))

        def __contains__(self, name: Any) -> bool:
            self._scope.note_field(str(name))
            return bool(super().__contains__(name))

        def getlist(self, name: str) -> list[str]:
            self._scope.note_field(name)
            return list(super().getlist(name))

        def __iter__(self) -> Iterator[str]:
            self._scope.note_field("cookie")
            return iter(super().keys())

        @property
        def raw(self) -> Any:
            self._scope.note_field("cookie")
            return super().raw

        def keys(self) -> Any:
            self._scope.note_field("cookie")
            return super().keys()

        def values(self) -> Any:
            self._scope.note_field("cookie")
            return super().values()

        def items(self) -> Any:
            self._scope.note_field("cookie")
            return super().items()

    return NotingHeaders
