"""The text by which an argument stands in a key."""

import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass

from ...errors import ConfigError

_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


def text_of(value: object, name: str, where: str) -> str:
    """The text of an argument: what `str` says, with nothing left out and in one order.

    `True`, `1` and `1.0` are three texts. Deliberate: 1 and "1" are one, as they are in the keys
    and tags that are written by hand or made of a URL, and that must meet the same values.

    Args:
        value: The argument.
        name: The parameter's name, for the error.
        where: The function, for the error.

    Raises:
        ConfigError: If no text tells the value from all others of its class.
    """

    def part(inner: object) -> str:
        return repr(inner) if isinstance(inner, str | bytes) else text_of(inner, name, where)

    def joined(parts: Iterable[str], brackets: str) -> str:
        return brackets[0] + ", ".join(parts) + brackets[1]

    if isinstance(value, set | frozenset):
        return joined(sorted(map(part, value)), "{}")
    if isinstance(value, list | tuple):
        return joined(map(part, value), "()" if isinstance(value, tuple) else "[]")
    if isinstance(value, dict):
        return joined((f"{part(key)}: {part(item)}" for key, item in value.items()), "{}")
    if is_dataclass(value) and not isinstance(value, type):
        held = (f"{field.name}={part(getattr(value, field.name))}" for field in fields(value))
        return type(value).__qualname__ + joined(held, "()")
    text = str(value)
    if _ADDRESS.search(text) or _hides(value):
        allowed = "a value whose text says all of it, such as an id; or a key that does not name it"
        raise ConfigError.of(name, type(value).__name__, allowed, where=where)
    return text


def _hides(value: object) -> bool:
    """Whether its text may leave something out: secrets, and models, which may hold some."""
    return hasattr(value, "get_secret_value") or hasattr(value, "__pydantic_fields_set__")
