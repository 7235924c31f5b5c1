"""The words that tables of options have for types."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from fractions import Fraction
from os import PathLike
from typing import Any, Literal, get_args

from asgi_multitier.config.policy import (
    Enabled,
    Names,
    Partition,
    TextsOption,
    Validator,
    VaryBy,
    When,
)
from asgi_multitier.config.templates import Template
from asgi_multitier.strategy import Lifetime

_WORDS: tuple[tuple[Any, str], ...] = (
    (Lifetime, "seconds"),
    (Lifetime | None, "seconds"),
    (Lifetime | bool, "seconds or `bool`"),
    (Names, "names"),
    (Names | None, "names"),
    (bool | Names, "`bool` or names"),
    (Names | AbstractSet[bytes], "names"),
    (TextsOption, "templates"),
    (VaryBy | str | Template | None, "callable or template"),
    (str | Template | None, "template"),
    (Validator | None, "callable"),
    (When | None, "callable"),
    (bool | Enabled, "`bool` or callable"),
    (Callable[[], Partition], "callable"),
    (float | Fraction | str | None, "share"),
    (float | None, "share"),
    (str | Callable[..., Any] | Iterable[str | Callable[..., Any]], "names or endpoints"),
    (str | PathLike[str] | None, "path"),
)

_PLAIN = {bool: "`bool`", int: "`int`", float: "`float`", str: "`str`", bytes: "`bytes`"}


def word(type_: Any) -> str:
    """What the table says of a type; None among others is said by the default and the meaning.

    Raises:
        KeyError: If there is no word for it yet.
    """
    for known, said in _WORDS:
        if type_ == known:
            return said
    if type_ in _PLAIN:
        return _PLAIN[type_]
    members = get_args(type_)
    if members and all(isinstance(member, str) for member in members):  # a Literal
        return " or ".join(f'`"{member}"`' for member in members)
    literals = [one for one in members if get_args(one) and type(one) is type(Literal["a"])]
    if literals:
        return " or ".join(word(one) for one in members)
    (only,) = [one for one in members if one is not type(None)]
    return word(only)
