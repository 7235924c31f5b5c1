"""The routes of an application, as they were last read, and when they are read again."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .._types import Scope
from ..selectors import Selector
from . import selection
from .annotations import RouteName, are_unclaimed
from .foreign import routed, unread_framework, unreadable
from .frameworks import Ran, framework_of
from .layers import attribute
from .overrides import override_ids
from .reading import build, containers
from .routes import EMPTY, Tree

_MAX_MISTAKES = 64
"""Pairs of a predicted route and another endpoint that are counted apart."""


class ApplicationRoutes:
    """The routes of an application.

    Not thread-safe; made and used in the event loop's thread.

    Attributes:
        generation: Rises whenever what was resolved before may no longer hold.
        unreadable: The class of an application whose routes are of an unknown kind: it has rules
            and the default only. "" for any other.
    """

    __slots__ = (
        "__weakref__",
        "_app",
        "_containers",
        "_framework",
        "_given",
        "_mistakes",
        "_seen",
        "_tree",
        "generation",
        "unreadable",
    )

    def __init__(self, app: object = None) -> None:
        """Find the application; its routes are read when they are first needed.

        Args:
            app: An ASGI application, or one that wraps it in `.app` again and again.
        """
        self._given = app
        self._framework = framework_of(app)
        self._app = None if self._framework is not None else routed(app)
        self.unreadable: str = "" if self._knows else unreadable(app)
        self._tree: Tree | None = None
        self._containers: list[Any] = []
        self._seen: list[object] = []
        self._mistakes: Counter[tuple[str, str]] = Counter()
        self.generation: int = 0

    @property
    def _knows(self) -> bool:
        """Whether an application with routes is known."""
        return self._app is not None or self._framework is not None

    @property
    def app(self) -> Any:
        """The application with routes like Starlette's; None where none is known."""
        return self._app

    @property
    def tree(self) -> Tree:
        """The routes; without any where no application is known."""
        if self._tree is None:
            self._tree = self._read()
            self._containers = [] if self._app is None else containers(self._app)
            self._seen = self._fingerprint()
        return self._tree

    def _read(self) -> Tree:
        """The routes as they are now."""
        if self._framework is None:
            return Tree() if self._app is None else build(self._app)
        tree = self._framework.tree()
        if tree is None:
            self.unreadable = type(self._framework.app).__qualname__
        return tree or Tree()

    def _fingerprint(self) -> list[object]:
        """Changes when a route is added or removed, or a dependency is overridden."""
        if self._framework is None:
            return [*_fingerprint(self._containers)]
        try:
            return [self._framework.version()]
        except Exception:  # noqa: BLE001  # the framework's own; its routes cannot be read either
            return []

    def ran(self, scope: Scope) -> Ran | None:
        """What the router has chosen; None if it has chosen nothing, or that cannot be seen.

        Args:
            scope: The request's, after the application answered or raised.
        """
        if self._framework is not None:
            return self._framework.ran(scope)
        endpoint = scope.get("endpoint")
        return None if endpoint is None else Ran(endpoint, scope.get("path_params") or EMPTY)

    def part(self, app: object) -> Tree | None:
        """The routes of one application: of this one, or of one that is mounted below; or None."""
        own = self._app is not None and routed(app) is self._app
        return self.tree if own else self.tree.of(app)

    @property
    def router(self) -> Any:
        """What a scope names as the router; None where no application is known."""
        router = attribute(self._app, "router")
        return self._app if router is None else router

    @property
    def endpoints(self) -> tuple[object, ...]:
        """The endpoints of all routes, in the router's order."""
        return tuple(leaf.endpoint for leaf in self.tree.leaves() if leaf.endpoint is not None)

    def attach(self, scope: Scope) -> bool:
        """Take the application that the scope names, where following `.app` led nowhere.

        A middleware that is a plain function hides what it wraps. Inside a mount the scope may name
        the application outside, which has other paths, so there nothing is taken.

        Args:
            scope: A request's or the lifespan's scope.

        Returns:
            Whether an application with routes is known now.
        """
        root_path = scope.get("root_path", "")
        if not self._knows and scope.get("app_root_path", root_path) == root_path:
            self._app = routed(scope.get("app"))
            if self._app is None:
                self.unreadable = self.unreadable or unreadable(scope.get("app"))
            else:
                self.unreadable = ""
                self.clear()
        return self._knows

    def unread(self) -> str:
        """The class of an application whose routes cannot be read, so that marks have no effect.

        "" where its routes are read, or it shows none and nothing is marked.
        """
        if self.unreadable or self._knows:
            return self.unreadable
        return unread_framework(self._given) if are_unclaimed() else ""

    def clear(self) -> None:
        """Forget the routes; they are read again when they are next needed."""
        self._tree = None
        self.generation += 1

    def refresh(self) -> bool:
        """Clear if routes were added or removed; returns whether they were."""
        if self._tree is None or self._fingerprint() == self._seen:
            return False
        self._mistakes.clear()
        self.clear()
        return True

    def mistaken(self, route: str, endpoint: object) -> bool:
        """Clear, as the router chose another endpoint than was predicted.

        Routes that are read again may lead to the same mistake, as where a layer inside of the
        cache gives the router another path. So the routes are not read again for each request, but
        whenever the number of such mistakes has doubled.

        Args:
            route: The predicted route.
            endpoint: What the router chose.

        Returns:
            Whether the routes were forgotten.
        """
        mistake = (route, getattr(endpoint, "__qualname__", type(endpoint).__qualname__))
        if len(self._mistakes) >= _MAX_MISTAKES and mistake not in self._mistakes:
            mistake = ("", "")  # of all others
        self._mistakes[mistake] += 1
        count = self._mistakes[mistake]
        if count & (count - 1):
            return False
        self.clear()
        return True

    def selectors_of(self, name: RouteName, params: Mapping[str, object] = EMPTY) -> list[Selector]:
        """What selects the responses of a route; see `selection.of_route`."""
        return selection.of_route(self.tree, name, params)


def _fingerprint(apps: list[Any]) -> list[tuple[int, ...]]:
    """Changes when a route is added to one of them or removed, or a dependency is overridden."""
    lists = [attribute(app, "routes") for app in apps]
    counted = [(id(routes), len(routes)) if routes else (0, 0) for routes in lists]
    return [*counted, *override_ids(apps)]
