"""Routes of frameworks that have a router of their own kind.

- `framework`: what is asked of each.
- `litestar`, `quart`, `django`, `falcon`: one file for each. None imports its framework: an
  application of it brings all that is needed.

Which route a request has is never found out here in another way than the framework's: its own
router is asked. Where the router's answer depends on what is not known before the application runs,
no route is named: then no mark counts, and the rules do.
"""

from collections.abc import Callable
from inspect import ismethod
from typing import Any

from ..foreign import routes_of
from ..layers import attribute, layers_of
from .django import Django
from .falcon import Falcon
from .framework import RAN_KEY, Framework, Ran
from .litestar import Litestar
from .quart import Quart

__all__ = ["RAN_KEY", "Framework", "Ran", "framework_of"]

_KINDS: dict[tuple[str, str], Callable[[Any], Framework]] = {
    ("litestar", "Litestar"): Litestar,
    ("quart", "Quart"): Quart,
    ("django", "ASGIHandler"): Django,
    ("falcon", "App"): Falcon,
}
"""By the package and the name of the application's class, or of one that it is derived from."""


def framework_of(app: object) -> Framework | None:
    """The nearest application of one of these frameworks, from one and what it wraps.

    None where an application with routes like Starlette's is nearer, or there is none.
    """
    for layer in layers_of(app):
        if routes_of(layer):
            return None
        # `app.asgi_app` of Quart is a method.
        owner = layer.__self__ if ismethod(layer) else layer
        for base in type(owner).__mro__:
            made = _KINDS.get((base.__module__.partition(".")[0], base.__name__))
            if made is not None and attribute(made, "reads")(owner):
                return made(owner)
    return None
