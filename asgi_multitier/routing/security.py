"""What in a FastAPI route says who asks: a hit runs no dependency, so it runs none of these."""

import functools
import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

_CREDENTIAL = re.compile(r"auth|token|api-?key|secret|session|passw|credential|jwt|signature")
"""Header parameters that by their name carry a credential, such as `X-Token`."""


def who_asks(dependant: Any) -> str:
    """The first security scheme or credential header anywhere in a dependency tree; "" if none.

    Args:
        dependant: FastAPI's description of a route, which has the dependencies of its routers and
            of the application too; None for any other route.
    """
    return next(_found(dependant), "") if dependant is not None else ""


def _found(dependant: Any) -> Iterator[str]:
    call = getattr(dependant, "call", None)
    if _is_scheme(call):
        yield type(_bare(call)).__name__
    for requirement in getattr(dependant, "security_requirements", None) or ():
        yield type(requirement.security_scheme).__name__
    for field in dependant.header_params:
        if _CREDENTIAL.search(field.alias.lower().replace("_", "-")):
            yield f"the header {field.alias}"
    for inner in dependant.dependencies:
        yield from _found(inner)


def _is_scheme(call: Any) -> bool:
    base = getattr(sys.modules.get("fastapi.security.base"), "SecurityBase", None)
    return base is not None and isinstance(_bare(call), base)


def _bare(call: Any) -> Any:
    """What a `partial`, a wrapper or a bound method stands for."""
    while isinstance(call, functools.partial):
        call = call.func
    call = inspect.unwrap(call) if callable(call) else call
    return call.__self__ if inspect.ismethod(call) else call
