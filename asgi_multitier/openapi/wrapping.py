"""The application's `openapi`, with what readers should know of the cache added to what it returns.

FastAPI asks `app.openapi` for its document, and so do those who write it into a file. Replacing it
is how FastAPI is to be extended: https://fastapi.tiangolo.com/how-to/extending-openapi/.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ..config.policy import Policy
from ..config.rules import Rule
from ..errors import ConfigError
from ..routing import RouteTable
from ..routing.layers import attribute, layers_of
from ..routing.reading import containers
from .documented import Extent, documented

Given: TypeAlias = tuple[object, tuple[tuple[Rule, ...], Policy | None]]
"""An application that a cache is around, and the rules and the default that it was given."""

Found: TypeAlias = Callable[[object], Given | None]
"""Finds the cache around an application; None if there is none."""


def describe(app: object, found: Found, extent: Extent) -> None:
    """Let the documents of an application, and of those mounted in it, tell of the cache.

    Args:
        app: The application, or a layer around it.
        found: Finds the cache when a document is made, which may be around it by then.
        extent: What is added.

    Raises:
        ConfigError: If there is no application with a document.
    """
    inner = next((layer for layer in layers_of(app) if _has_document(layer)), None)
    if inner is None:
        allowed = "a FastAPI application, or one around it"
        raise ConfigError.of("app", app, allowed, where="document")
    for each in filter(_has_document, containers(inner)):
        present = each.openapi
        original = present.original if isinstance(present, _Described) else present
        each.openapi = _Described(each, original, found, extent)


def _has_document(app: object) -> bool:
    return callable(attribute(app, "openapi")) and hasattr(app, "openapi_schema")


class _Described:
    """Takes the place of an application's `openapi`.

    Args:
        app: The application.
        original: What it was, or what the user has put in its place.
        found: Finds the cache around the application.
        extent: What is added.
    """

    def __init__(self, app: Any, original: Callable[[], Any], found: Found, extent: Extent) -> None:
        self.original = original
        self._app = app
        self._found = found
        self._extent = extent
        self._last: tuple[Any, Any, Given] | None = None
        """What was given, what was made of it, and by which rules."""

    def __call__(self) -> Any:
        """The document. FastAPI keeps it in `app.openapi_schema`, and so it is kept here."""
        given, cache = self.original(), self._found(self._app)
        if cache is None or not isinstance(given, Mapping):
            return given
        if self._last is not None:
            plain, made, by = self._last
            if given is made and cache == by:
                return made
            given = plain if given is made else given
        kept = attribute(self._app, "openapi_schema")
        made = self._made(given, cache)
        if kept is given or (self._last is not None and kept is self._last[1]):
            self._app.openapi_schema = made
            self._last = (given, made, cache)
        return made

    def _made(self, given: Mapping[str, Any], cache: Given) -> Any:
        """The document with what holds now."""
        around, (rules, default) = cache
        table = RouteTable(around, rules=rules, default=default)
        part = table.part(self._app)
        return given if part is None else documented(given, table, part, self._extent)
