"""Templates over the arguments of an endpoint, such as `"{user.id}"`."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from typing import Any, get_args
from uuid import UUID

from ..config.templates import Template
from ..policy.partition import partition_part
from .endpoints import signature_of


class Missing(Exception):  # noqa: N818  # an outcome, not a fault
    """An argument has no such value: it is None, lacks the attribute, or is of another type."""


def partition_of(template: Template, arguments: Mapping[str, Any]) -> bytes:
    """Whose copy a request gets, by a template: each value with its type and its length.

    Raises:
        Missing: If a value is None or cannot be distinguished with certainty.
    """
    first, *others = template.fields
    value = value_of(first, arguments)
    if not others and type(value) is str and value.isascii():
        return _of_text(template.text, value)
    values = (value, *(value_of(name, arguments) for name in others))
    part = partition_part((template.text, *values))
    if part is None or (not others and isinstance(value, bool)):
        # A truth value alone says that there is a user, not which one.
        raise Missing(f"{template.text!r} gives values that are no partition")
    return part


def _of_text(template: str, value: str) -> bytes:
    return _remembered(template, value) if len(value) <= _LONGEST else _made(template, value)


def _made(template: str, value: str) -> bytes:
    return b"one:%d:%b:%b" % (len(template), template.encode(), value.encode())


_LONGEST = 64
"""Characters of the longest value whose part of the key is remembered: an identifier's."""

_remembered = lru_cache(4096)(_made)


def texts_of_arguments(
    fields: Sequence[str],
    known: Mapping[str, tuple[str, ...]],
    endpoint: Callable[..., Any],
    arguments: Mapping[str, Any],
) -> dict[str, tuple[str, ...]]:
    """What templates are filled from: parameters of the URL, and values of the arguments as texts.

    An argument that a dependency or the body fills counts before a parameter of the same name: a
    client may put any name into its query.

    Args:
        fields: The names in the templates.
        known: The parameters of the URL by name.
        endpoint: The endpoint.
        arguments: Its arguments.

    Raises:
        Missing: If a value is None or is of another type than a text, a number or an identifier.
    """
    found = dict(known)
    for name in fields:
        if is_of_argument(name, endpoint) or (name not in found and name in arguments):
            found[name] = (text_value(name, arguments),)
    return found


def text_value(name: str, arguments: Mapping[str, Any]) -> str:
    """The text of the value that a name means.

    Raises:
        Missing: If it is None or is of another type than a text, a number or an identifier.
    """
    value = value_of(name, arguments)
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str | int | UUID):
        raise Missing(f"{{{name}}} is a {type(value).__name__}")
    return str(value)


def is_of_argument(name: str, endpoint: Callable[..., Any]) -> bool:
    """Whether a name in a template means an argument that is not in the URL."""
    return "." in name or (inspect.isfunction(endpoint) and name in _filled(endpoint))


@lru_cache(1024)
def _filled(endpoint: Callable[..., Any]) -> frozenset[str]:
    """The parameters of a function that a dependency or the body fills, in FastAPI."""
    return frozenset(
        name
        for name, parameter in signature_of(endpoint).parameters.items()
        if any(
            type(mark).__name__ in _MARKS
            for mark in (parameter.default, *get_args(parameter.annotation)[1:])
        )
    )


_MARKS = frozenset(("Depends", "Security", "Body", "Form", "File"))


def value_of(name: str, arguments: Mapping[str, Any]) -> Any:
    """The value that a name in a template means.

    Raises:
        Missing: If there is none.
    """
    argument, getter = _getter(name)
    try:
        value = arguments[argument]
        if getter is not None:
            value = getter(value)
    except (KeyError, AttributeError) as error:
        raise Missing(f"{{{name}}}: {error}") from error
    if value is None:
        raise Missing(f"{{{name}}} is None")
    return value


@lru_cache(1024)
def _getter(name: str) -> tuple[str, Callable[[Any], Any] | None]:
    """The argument that a name in a template begins with, and what reads the attributes."""
    argument, _, attributes = name.partition(".")
    return argument, attrgetter(attributes) if attributes else None
