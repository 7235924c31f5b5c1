"""The layers of an application, read so that no exception of theirs gets out."""

from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 32


def attribute(thing: object, name: str) -> Any:
    """An attribute; None where there is none, or where reading it raises."""
    try:
        return getattr(thing, name, None)
    except Exception:  # noqa: BLE001  # a property of the application's own
        return None


def layers_of(app: object) -> Iterator[Any]:
    """An application and what it wraps in `.app` or `__wrapped__`, from the outside in."""
    for _ in range(MAX_DEPTH):
        if app is None:
            return
        yield app
        inner = attribute(app, "app")
        app = attribute(app, "__wrapped__") if inner is None else inner
