"""What the layers around the cache keep for one request, and what a run has made of it."""

from collections.abc import Mapping
from copy import deepcopy
from operator import itemgetter
from typing import Any

from ..._types import Scope
from ...policy.reasons import Reason
from .known import is_known
from .state import NotedScope, NotedState, keeps_more

_UNREADABLE = object()
_SOUGHT = ("endpoint", "route", "path_params", "router")
"""What layers look for in a scope once there is an answer."""

_sought = itemgetter(*_SOUGHT)


class Outside:
    """The view of the layers outside, before a run and after it.

    Args:
        scope: The request, before the application gets it.
        common: What the lifespan has put into the state of every request.
    """

    __slots__ = ("_before", "_common", "_noted", "_scope", "_session", "_state")

    def __init__(self, scope: Scope, common: Mapping[str, Any]) -> None:
        self._scope = scope
        self._common = common
        self._session: Any = None
        self._before: object = None
        self._state: NotedState | None = None
        self._noted: NotedScope | None = None

    def watch(self, scope: Scope) -> Scope:
        """A scope that notes from here on what the application reads and writes of it."""
        self._session = self._scope.get("session")
        self._before = _contents(self._session)
        shared = self._scope.get("state")
        if isinstance(shared, dict):
            self._state = NotedState(shared, self._common)
            scope["state"] = self._state
        self._noted = NotedScope(scope)
        return self._noted

    def look_on(self, scope: Scope) -> Scope:
        """As `watch`, for a run that gets the layers' own scope where nothing of theirs is in it.

        What the run writes reaches them in any case; `leave` has to follow.
        """
        noted = self.watch(scope)
        return noted if keeps_more(scope) else scope

    @property
    def undecided(self) -> bool:
        """Whether the rest of the run may still make its answer its client's alone."""
        kept = any(noted is not None and noted.holds for noted in (self._state, self._noted))
        return kept or self._session is not None

    def publish(self, scope: Scope) -> None:
        """Copy into the layers' own scope what they look for once there is an answer."""
        publish(scope, self._scope)

    def leave(self, scope: Scope) -> None:
        """Give the layers outside their state back, where the scope was their own."""
        if self._state is not None:
            scope["state"] = self._state.shared

    def objection(self, scope: Scope, *, shared: bool, keyed: bool) -> Reason | None:
        """Why the answer of the run is its client's alone, or None.

        A session that the run has written will become a `Set-Cookie` on the way out.

        Args:
            scope: The scope that the application got, as it is now.
            shared: The rule says that the answer is the same for all, or separates the users.
            keyed: What identifies the user in the request is part of the key.
        """
        if self._session is not None and self._has_written(scope):
            return Reason.SET_COOKIE
        if shared:
            return None
        if any(noted is not None and noted.read for noted in (self._state, self._noted)):
            return Reason.IDENTITY
        if not keyed and is_known(scope):
            return Reason.IDENTITY
        return None

    def _has_written(self, scope: Scope) -> bool:
        session = scope.get("session")
        if session is not self._session or getattr(session, "modified", False) is True:
            return True
        now = _contents(session)
        return now is _UNREADABLE or now != self._before


def publish(scope: Scope, outer: Scope) -> None:
    """Copy what the layers outside look for once there is an answer.

    Args:
        scope: The scope that the application got.
        outer: That of the layers.
    """
    try:  # all at once, as a hit of a guarded route does this
        outer["endpoint"], outer["route"], outer["path_params"], outer["router"] = _sought(scope)
    except KeyError:
        outer.update({name: scope[name] for name in _SOUGHT if name in scope})


def _contents(session: Any) -> object:
    """What is in a session; one that does not say so can be compared with nothing."""
    if session is None:
        return None
    try:
        return deepcopy(dict(session))
    except Exception:  # noqa: BLE001  # an object of a layer outside
        return _UNREADABLE
