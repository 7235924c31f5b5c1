"""The scope and the state of a request as a run of the application gets them: readings are noted.

A layer around the cache leaves in `scope["state"]`, or in the scope under a name of its own, what
it has found out: the user, a tenant, the language. What an answer depends on shows in the run
alone: it is what the run reads and has not written. That a key is missing counts as read, too: for
the next request it may be there.
"""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Self

from ..._types import Scope
from ...routing.frameworks import RAN_KEY
from ...routing.guarded import GUARDED_KEY
from ..framework import FILL_KEY, SCOPE_KEY, SHADOW_KEY

_OWN = "cache"
"""The key of the manager."""

_HARMLESS = re.compile(
    r"_.*"
    r"|(?:.*_)?(?:request|correlation|trace|span|transaction)_?id"
    r"|trace(?:parent|state)?|span|tracer"
    r"|(?:.*_)?(?:start|started|start_time|started_at|begin|received_at|time|timer|timing|timings)"
    r"|log|logger|logging|metrics|stats"
    r"|db|database|db_session|db_pool|pool|engine|conn|connection"
    r"|redis|http|http_client|background|tasks|config|settings"
    r"|view_rate_limit|rate_limit",
    re.IGNORECASE,
)
"""Names of what identifies or serves a request, and does not depend on the user."""

_COMMON = frozenset(
    (
        # Of ASGI, and of servers.
        *("type", "asgi", "http_version", "server", "client", "scheme", "method", "root_path"),
        *("path", "raw_path", "query_string", "headers", "state", "extensions"),
        # Checked by name in `known`.
        *("user", "session", "auth"),
        # Of frameworks, and of tools that observe them.
        *("app", "router", "route", "endpoint", "path_params", "app_root_path", "route_handler"),
        *("litestar_app", "lilya", "datadog"),
        *(SCOPE_KEY, FILL_KEY, SHADOW_KEY, GUARDED_KEY, RAN_KEY),
    )
)
"""Names in a scope that do not depend on the user, or that are checked elsewhere."""


_FRAMEWORKS = ("fastapi", "starlette")
"""How names begin under which frameworks keep what is theirs."""


class Noted(dict[str, Any]):
    """A mapping whose readings are noted; what is written reaches the layers outside as well.

    Args:
        shared: The mapping that the layers outside know.

    Attributes:
        read: Whether something was read that may differ from one request to the next.
    """

    def __init__(self, shared: MutableMapping[str, Any]) -> None:
        super().__init__(shared)
        self.shared = shared
        self.read: bool = False
        self._written: set[object] = set()

    def _matters(self, key: Any) -> bool:
        """Whether the value of a key, or its absence, may depend on the user."""
        raise NotImplementedError

    @property
    def holds(self) -> bool:
        """Whether there is something that would be noted when it is read."""
        return any(key not in self._written and self._matters(key) for key in super().__iter__())

    def _note(self, key: Any) -> None:
        if not self.read and key not in self._written and self._matters(key):
            self.read = True

    def _note_all(self) -> None:
        for key in super().__iter__():
            self._note(key)

    # Reading.

    def __getitem__(self, key: str) -> Any:
        self._note(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._note(key)
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """One value."""
        self._note(key)
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        self._note_all()
        return super().__iter__()

    def keys(self) -> Any:
        """All names."""
        self._note_all()
        return super().keys()

    def values(self) -> Any:
        """All values."""
        self._note_all()
        return super().values()

    def items(self) -> Any:
        """All of it."""
        self._note_all()
        return super().items()

    def copy(self) -> dict[str, Any]:
        """All of it, as a plain dict."""
        return dict(self.items())

    __copy__ = copy

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (self.copy(),)

    # Writing.

    def __setitem__(self, key: str, value: Any) -> None:
        self._written.add(key)
        self.shared[key] = value
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._written.add(key)
        self.shared.pop(key, None)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value that is there, or this one."""
        if key not in self:
            self[key] = default
        return super().__getitem__(key)

    def pop(self, key: str, *default: Any) -> Any:
        """Take one value out."""
        self._note(key)
        value = super().pop(key, *default)
        self._written.add(key)
        self.shared.pop(key, None)
        return value

    def popitem(self) -> tuple[str, Any]:
        """Take the last value out."""
        self._note_all()
        key, value = super().popitem()
        self.shared.pop(key, None)
        return key, value

    def clear(self) -> None:
        """Take everything out."""
        self._written.update(super().keys())
        super().clear()
        self.shared.clear()

    def update(self, *others: Any, **more: Any) -> None:
        """Write several values."""
        for key, value in dict(*others, **more).items():
            self[key] = value

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self


class NotedState(Noted):
    """A state.

    Args:
        shared: The state that the layers outside know.
        common: What the lifespan has put into the state of every request.
    """

    def __init__(self, shared: dict[str, Any], common: Mapping[str, Any]) -> None:
        super().__init__(shared)
        self._common = common
        self._written.add(_OWN)

    def _matters(self, key: Any) -> bool:
        if _HARMLESS.fullmatch(str(key)):
            return False
        return dict.get(self, key, self) is not self._common.get(key, self._common)


def keeps_more(scope: Scope) -> bool:
    """Whether a layer around the cache keeps something of its own in a scope."""
    return not _COMMON.issuperset(scope)


class NotedScope(Noted):
    """A scope; what frameworks and servers keep there under names of theirs does not count."""

    def _matters(self, key: Any) -> bool:
        if key in _COMMON:
            return False
        # Frameworks look for much that is not there, under names like `framework.thing`.
        if not dict.__contains__(self, key) and "." in str(key):
            return False
        return not str(key).startswith(_FRAMEWORKS) and not _HARMLESS.fullmatch(str(key))
