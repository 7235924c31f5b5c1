"""FastAPI's `dependency_overrides`: what an application calls in place of dependencies.

A test uses them to remove authentication; an application may, to implement a placeholder. Both
count, the declared dependency and its override: an override that removes a check is no permission
to share, since it is not there in production.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from .layers import attribute


def overrides_of(owner: object) -> Mapping[Any, Any]:
    """The overrides of an application, or of any other owner of some."""
    found = attribute(owner, "dependency_overrides")
    return found if isinstance(found, Mapping) else {}


def overriding(dependant: Any, provider: object) -> tuple[Any, ...]:
    """FastAPI's descriptions of the overrides of a route's dependencies.

    Args:
        dependant: That of the route.
        provider: The owner of the overrides.
    """
    overrides = overrides_of(provider)
    seen: dict[Any, Any] = {}
    if dependant is not None and overrides:
        _collect(dependant, overrides, seen)
    return tuple(seen.values())


def _collect(dependant: Any, overrides: Mapping[Any, Any], seen: dict[Any, Any]) -> None:
    for inner in dependant.dependencies:
        call = overrides.get(inner.call)
        if call is not None and call not in seen:
            seen[call] = _described(inner.path or "/", call)
            _collect(seen[call], overrides, seen)
        _collect(inner, overrides, seen)


def _described(path: str, call: Any) -> Any:
    describe = sys.modules["fastapi.dependencies.utils"].get_dependant
    return describe(path=path, call=call)


def override_ids(apps: list[Any]) -> Iterator[tuple[int, ...]]:
    """Changes when one of the applications overrides a dependency or stops doing so."""
    for app in apps:
        overrides = overrides_of(app)
        if overrides:
            yield tuple(id(part) for pair in overrides.items() for part in pair)
