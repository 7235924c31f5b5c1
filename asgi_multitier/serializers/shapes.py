"""Instances of a type from plain objects.

msgspec does most of it. This module adds Pydantic models, and unions whose members msgspec cannot
distinguish, at any level of a type.
"""

import ipaddress
import sys
import types
import typing
from collections import abc, deque
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec

from .models import is_marked, is_model, restored

Converter: TypeAlias = Callable[[Any], Any]

MISFIT = (msgspec.MsgspecError, TypeError, ValueError, RecursionError)
"""The exceptions of a converter if plain objects do not fit its type."""

TEXTS = (
    PurePath,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)
"""Classes whose objects are restored from the result of `str`."""


def convert(plain: Any, type_: Any) -> Any:
    """Convert plain objects to an instance of the type.

    A string is never decoded as base64 bytes, because this package never writes bytes to JSON.

    Raises:
        TypeError: If the type is not supported, or the objects do not fit it.
        ValueError: If they do not fit it; msgspec's and Pydantic's errors are ValueErrors.
    """
    try:
        found = _kept_converter(type_)
    except TypeError:  # not hashable, or not a type
        found = _converter(type_)
    return found(plain)


def _converter(type_: Any) -> Converter:
    try:
        msgspec.json.Decoder(type_, dec_hook=_object)
    except NameError as error:
        raise TypeError(f"{error}: annotations must be resolvable at run time") from None
    except TypeError as error:
        return _by_parts(type_, error)
    return lambda plain: msgspec.convert(
        plain, type_, builtin_types=(bytes,), str_keys=True, dec_hook=_object
    )


# Creating a converter costs more than reading a small value. Bounded: types may be dynamic.
_kept_converter = lru_cache(maxsize=512)(_converter)


def _object(type_: Any, plain: Any) -> Any:
    """An instance of a class that msgspec does not know."""
    if type_ is object:
        return plain
    if is_model(type_):
        return restored(type_, plain, convert)
    if get_origin(type_) is deque:
        return _by_parts(type_, TypeError())(plain)
    if isinstance(type_, type):
        if issubclass(type_, TEXTS) and isinstance(plain, str):
            return type_(plain)
        if is_of_pydantic(type_):
            return _adapter(type_).validate_python(plain)
    raise TypeError(f"objects of {type_!r} are not supported")


def is_of_pydantic(type_: type) -> bool:
    """Whether Pydantic defines the class, such as `SecretStr` or `HttpUrl`."""
    return type_.__module__.partition(".")[0] in ("pydantic", "pydantic_core")


@lru_cache(maxsize=64)
def _adapter(type_: Any) -> Any:
    return sys.modules["pydantic"].TypeAdapter(type_)


# Types that msgspec refuses as a whole are converted part by part.

_LISTS = {
    list: list,
    set: set,
    frozenset: frozenset,
    deque: deque,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    abc.Set: set,
    abc.MutableSet: set,
}
_DICTS = (dict, abc.Mapping, abc.MutableMapping)


def _by_parts(type_: Any, error: TypeError) -> Converter:
    origin, args = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return _converter(args[0])
    for name in ("__supertype__", "__value__"):  # of NewType, and of `type X = ...`
        if (inner := getattr(type_, name, None)) is not None:
            return _converter(inner)
    if origin in (Union, types.UnionType):
        return _union(args)
    if origin in _LISTS:
        return _list(_LISTS[origin], _converter(args[0]))
    if origin is tuple:
        return _tuple(args)
    if origin in _DICTS:
        return _dict(args[0], _converter(args[1]))
    if is_dataclass(type_) or typing.is_typeddict(type_):
        return _record(type_)
    raise error


def _list(kind: Callable[[Any], Any], item: Converter) -> Converter:
    def read(plain: Any) -> Any:
        return kind([item(part) for part in msgspec.convert(plain, list[Any])])

    return read


def _tuple(args: tuple[Any, ...]) -> Converter:
    if args[-1:] == (...,):
        return _list(tuple, _converter(args[0]))
    parts = [_converter(arg) for arg in args]

    def read(plain: Any) -> Any:
        given = msgspec.convert(plain, list[Any])
        return tuple(part(item) for part, item in zip(parts, given, strict=True))

    return read


def _dict(key: Any, item: Converter) -> Converter:
    def read(plain: Any) -> Any:
        given = msgspec.convert(plain, dict[key, Any], str_keys=True)
        return {name: item(part) for name, part in given.items()}

    return read


def _record(type_: Any) -> Converter:
    """A dataclass or a `TypedDict`, field by field."""
    hints = get_type_hints(type_)
    parts = {name: _converter(_bare(hint)) for name, hint in hints.items()}
    if is_dataclass(type_):
        own = {part.name: part for part in fields(type_)}
        required = {
            name
            for name, part in own.items()
            if part.default is MISSING and part.default_factory is MISSING
        }
        parts = {name: parts[name] for name in own}
        make: Callable[..., Any] = typing.cast("Any", type_)
    else:
        required, make = set(type_.__required_keys__), dict

    def read(plain: Any) -> Any:
        given = msgspec.convert(plain, dict[str, Any])
        if missing := required - given.keys():
            raise TypeError(f"{type_.__qualname__} requires {', '.join(sorted(missing))}")
        return make(**{name: parts[name](item) for name, item in given.items() if name in parts})

    return read


def _bare(hint: Any) -> Any:
    """The annotation without `Required` or `NotRequired`."""
    return get_args(hint)[0] if get_origin(hint) in _QUALIFIERS else hint


_QUALIFIERS = (typing.Required, typing.NotRequired)


def _union(members: tuple[Any, ...]) -> Converter:
    """Convert to the union's member that the value was written from.

    A written model names its class. Other objects belong to the first member that accepts them.
    """
    models = [_converter(member) for member in members if is_model(member)]
    others = [member for member in members if not is_model(member)]
    try:
        rest = [_converter(Union[tuple(others)])] if models and others else None  # noqa: UP007
    except TypeError:
        rest = None
    tried = rest if rest is not None else [_whole(member) for member in others]

    def read(plain: Any) -> Any:
        for member in [*models, *tried] if is_marked(plain) else [*tried, *models]:
            try:
                return member(plain)
            except MISFIT:
                continue
        raise TypeError(f"{type(plain).__name__} fits none of the union's {len(members)} types")

    return read


def _whole(member: Any) -> Converter:
    """The member's converter, which refuses objects with fields unknown to the member."""
    inner = _converter(member)
    if not (is_dataclass(member) or typing.is_typeddict(member)):
        return inner
    known = set(get_type_hints(member))

    def read(plain: Any) -> Any:
        if isinstance(plain, dict) and not plain.keys() <= known:
            raise TypeError(f"{member.__qualname__} has no {sorted(plain.keys() - known)}")
        return inner(plain)

    return read
