"""What is asked of a framework that has a router of its own kind."""

import functools
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..layers import attribute
from ..routes import EMPTY, Leaf, Prediction, Tree
from ..security import Need

RAN_KEY: Final = "asgi_multitier.ran"
"""The key of what a router has chosen, in the scope of a framework that does not say it there."""

_MAX_DECORATORS = 100

UNKNOWN: Final = Prediction()
"""No route is known: rules and the default decide."""


class Ran(NamedTuple):
    """What a router has chosen.

    Attributes:
        endpoint: As in `Leaf.endpoint`.
        path_params: Converted path parameters.
    """

    endpoint: Any
    path_params: Mapping[str, Any]


class Framework(ABC):
    """One application of a framework.

    Args:
        app: The application.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    @classmethod
    @abstractmethod
    def reads(cls, app: Any) -> bool:
        """Whether it is of a version that can be read."""

    @abstractmethod
    def leaves(self) -> Sequence[Leaf]:
        """The routes, in the router's order."""

    @abstractmethod
    def version(self) -> object:
        """Changes when a route is added."""

    @abstractmethod
    def choose(self, scope: Mapping[str, Any]) -> Prediction:
        """What the router will choose, as it says itself; `UNKNOWN` where that is not sure.

        Any exception means the same. The routes were read by then (`leaves`).

        Args:
            scope: Method, path, root path and the field `Host` of a request.
        """

    def ran(self, scope: Mapping[str, Any]) -> Ran | None:
        """What the router has chosen; None if it has chosen nothing.

        Args:
            scope: The request's, after the application answered or raised.
        """
        found = scope.get(RAN_KEY)
        return found if isinstance(found, Ran) else None

    def tree(self) -> Tree | None:
        """The routes, with the router that chooses among them; None where they cannot be read."""
        try:
            return Tree(tuple(self.leaves()), chooser=self._chosen)
        except Exception:  # noqa: BLE001  # the framework's own, as where its settings are not whole
            return None

    def _chosen(self, scope: dict[str, Any]) -> Prediction:
        try:
            return self.choose(scope)
        except Exception:  # noqa: BLE001  # the framework's own, such as its NotFound
            return UNKNOWN


def leaf_of(
    route: Any,
    endpoint: Any,
    path: str,
    *,
    methods: frozenset[str] | None,
    path_params: tuple[str, ...],
    name: str = "",
    host: str = "",
    needs: tuple[Need, ...] = (),
) -> Leaf:
    """A route that its framework's router matches.

    Args:
        route: The framework's own object.
        endpoint: What carries the marks.
        path: The path template, in the form that Starlette has.
        methods: What it takes; None if that is not known.
        path_params: Names of the path parameters.
        name: The route's name.
        host: `//` and the host that it requires; "" for any.
        needs: What a hit would skip.
    """
    return Leaf(
        matcher=route,
        matches=_never,
        endpoint=endpoint,
        path=path,
        host=host,
        name=name,
        methods=methods,
        path_params=path_params,
        needs=needs,
        framework=True,
    )


def found(leaf: Leaf | None, path_params: Mapping[str, Any] = EMPTY) -> Prediction:
    """The prediction of a route, if there is one."""
    return UNKNOWN if leaf is None else Prediction(leaf, full=True, path_params=path_params)


def around_it(endpoint: Any) -> Iterator[Any]:
    """An endpoint and what its decorators wrap, from the outside in."""
    for _ in range(_MAX_DECORATORS):
        if endpoint is None:
            return
        yield endpoint
        inner = endpoint.func if isinstance(endpoint, functools.partial) else None
        endpoint = inner or attribute(endpoint, "__wrapped__")


def checked_by(kind: str, function: Any) -> Need:
    """A function that runs before an endpoint, reads what it likes, and may refuse the request.

    Args:
        kind: What the framework calls it, for messages.
        function: The function.
    """
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return Need(f"the {kind} {name}", "unknown", name, credential=True)


def apart(
    methods: Iterable[str], needs: Callable[[str], Iterable[Need]]
) -> dict[tuple[Need, ...], frozenset[str]]:
    """The methods of one place, those with the same needs together.

    Args:
        methods: In capitals.
        needs: What a hit would skip of what answers a method.
    """
    found: dict[tuple[Need, ...], set[str]] = {}
    for method in methods:
        found.setdefault(tuple(dict.fromkeys(needs(method))), set()).add(method)
    return {each: frozenset(taken) for each, taken in found.items()}


def module(name: str) -> Any:
    """A module that the framework has imported; None if it has not."""
    return sys.modules.get(name)


def host_of(scope: Mapping[str, Any]) -> str:
    """The value of `Host`, the only field of a scope that routes are chosen by; "" without it."""
    return "".join(value.decode("latin-1") for _, value in scope["headers"])


def _never(_: dict[str, Any]) -> Any:
    raise NotImplementedError("the framework's router matches its routes")
