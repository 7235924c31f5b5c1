"""Who may see a view of Django, as far as its decorators, its class and a middleware say it.

A hit runs none of them.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ..layers import attribute
from ..security import Need
from .framework import around_it


def requires_login(view_middleware: Iterable[Any]) -> bool:
    """Whether Django's `LoginRequiredMiddleware`, or a class derived from it, is installed.

    Args:
        view_middleware: What Django calls before each view.
    """
    for function in view_middleware:
        # Django makes each one async.
        owner = attribute(attribute(function, "func") or function, "__self__")
        if any(base.__name__ == "LoginRequiredMiddleware" for base in type(owner).__mro__):
            return True
    return False


def needs_of(view: Any, method: str | None, *, login: bool) -> Iterator[Need]:
    """What checks the user before a view.

    Args:
        view: The function that a pattern calls.
        method: What is asked, of a class of views; None for whatever it may be.
        login: Whether a middleware lets only users through, except to views that say otherwise.
    """
    kind = attribute(view, "view_class")
    mixed = any(base.__name__ == "AccessMixin" for base in getattr(kind, "__mro__", ()))
    asked = any(map(_is_decorated, (view, *_functions(kind, method))))
    if mixed or asked or (login and getattr(view, "login_required", True)):
        name = getattr(view, "__qualname__", type(view).__qualname__)
        yield Need(f"the user that {name} requires", "unknown", name, credential=True)


def _functions(kind: Any, method: str | None) -> Iterator[Any]:
    """The functions of a class of views that may run for a method."""
    if kind is None:
        return
    yield attribute(kind, "dispatch")
    names = kind.http_method_names if method is None else (method.lower(),)
    yield from (attribute(kind, name) for name in names)
    if method == "HEAD" and attribute(kind, "head") is None:
        yield attribute(kind, "get")


def _is_decorated(function: Any) -> bool:
    """Whether `login_required`, `permission_required` or the like is around a function.

    `user_passes_test`, of which all of them are made, leaves `login_url`.
    """
    return any(hasattr(each, "login_url") for each in around_it(function))
