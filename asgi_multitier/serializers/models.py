"""The state of Pydantic models: stored and restored without serializers and validators.

A model's own serialization may leave out fields or mask secrets, and its validators may change
values, so neither is used. A model is written as a dict: the values of its fields under their own
names, its extra values, and a note under the key `MARK`. The note contains the class, the fields
that were not set, the fields whose value does not match the annotation and is written unchanged (an
enum's value, None in place of a number), and the private attributes.

Pydantic is not required: models exist only where it has already been imported.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from inspect import signature
from types import UnionType
from typing import Any, Final, NamedTuple, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec
import orjson

MARK: Final = "\0model"
"""The key of the note in a written model."""

_Note: TypeAlias = tuple[str, list[str], list[str], dict[str, Any]]

Convert: TypeAlias = Callable[[Any, Any], Any]
"""Converts plain objects (first) to a type (second); raises TypeError or ValueError."""


def is_model(type_: object) -> bool:
    """Whether the type is a Pydantic 2 model class."""
    return hasattr(type_, "__pydantic_validator__") and _is_model(type_)


@lru_cache(maxsize=512)
def _is_model(type_: object) -> bool:
    pydantic = sys.modules.get("pydantic")
    return (
        pydantic is not None and isinstance(type_, type) and issubclass(type_, pydantic.BaseModel)
    )


def _base() -> Any:
    """`pydantic.BaseModel`; its `__setstate__` restores a model."""
    return sys.modules["pydantic"].BaseModel


def is_marked(plain: object) -> bool:
    """Whether the object is a written model."""
    return isinstance(plain, dict) and MARK in plain


class ModelState(NamedTuple):
    """The complete state of a model.

    Attributes:
        fields: Values of fields by name.
        extra: Values that are not fields, by name.
        was_set: Names of the values that were set explicitly.
        private: Private attributes by name.
    """

    fields: dict[str, Any]
    extra: dict[str, Any]
    was_set: set[str]
    private: dict[str, Any]


def state_of(model: Any) -> ModelState:
    """The complete state of a model."""
    kind: Any = type(model)
    names, held = _fields(kind), model.__dict__
    if not held.keys() <= names.keys():  # `__dict__` contains cached properties too
        held = {name: value for name, value in held.items() if name in names}
    return ModelState(
        held,
        model.__pydantic_extra__ or {},
        model.__pydantic_fields_set__,
        model.__pydantic_private__ or {},
    )


def written(model: Any, is_plain: Callable[[Any, Any], bool]) -> dict[str, Any]:
    """The model as a dict of its values, with the note.

    Args:
        model: The model.
        is_plain: Whether a value (first) that does not match its type (second) must be written
            unchanged.
    """
    kind: Any = type(model)
    state = state_of(model)
    types, exact = _types(kind), _exact(kind)
    typed = state.fields | state.private
    as_is = [
        name
        for name, value in typed.items()
        if type(value) not in exact.get(name, ()) and is_plain(value, types.get(name, Any))
    ]
    values = state.fields | state.extra
    unset = sorted(values.keys() - state.was_set)
    return {MARK: [kind.__qualname__, unset, as_is, state.private], **values}


def restored(kind: Any, plain: Any, convert: Convert) -> Any:
    """Restore a written model of this class or a subclass.

    A dict without a note was not written from a model: it is validated, by the fields' names.

    Raises:
        TypeError: If it was written from another class, or lacks a field that is required now.
        ValueError: If a value does not fit the class's current annotation.
    """
    if not is_marked(plain):
        return _validated(kind, plain)
    name, unset, as_is, private = msgspec.convert(plain[MARK], _Note)
    kind = _class_named(kind, name)
    types, exact = _types(kind), _exact(kind)

    def read(name: str, value: Any) -> Any:
        if type(value) in exact.get(name, ()):
            return value
        return unmarked(value) if name in as_is else convert(value, types.get(name, Any))

    values = {}
    for name, field in _fields(kind).items():
        if name in plain:
            values[name] = read(name, plain[name])
        elif field.is_required():
            raise TypeError(f"{kind.__qualname__} requires {name}")
        else:
            values[name] = field.get_default(call_default_factory=True)
            unset.append(name)
    extra = None
    if kind.model_config.get("extra") == "allow":
        known = {MARK, *values}
        extra = {name: unmarked(value) for name, value in plain.items() if name not in known}
    held = {name: read(name, value) for name, value in private.items()}
    model = kind.__new__(kind)
    _base().__setstate__(
        model,
        {
            "__dict__": values,
            "__pydantic_extra__": extra,
            "__pydantic_fields_set__": {*values, *(extra or ())}.difference(unset),
            "__pydantic_private__": held if kind.__private_attributes__ else None,
        },
    )
    return model


def unmarked(plain: Any) -> Any:
    """Plain objects without notes, for a caller without a type: models become dicts."""
    if isinstance(plain, list):
        return [unmarked(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if MARK in plain and plain.keys() == {MARK, "root"}:
        return unmarked(plain["root"])
    return {key: unmarked(item) for key, item in plain.items() if key != MARK}


def _class_named(kind: Any, name: str) -> Any:
    """The only class or subclass with this qualified name; else raises TypeError."""
    if kind.__qualname__ == name:
        return kind
    found = {below for below in _below(kind) if below.__qualname__ == name}
    if len(found) != 1:
        raise TypeError(f"{name} is not one class at or below {kind.__qualname__}")
    return found.pop()


def _below(kind: Any) -> Iterator[Any]:
    for below in kind.__subclasses__():
        yield below
        yield from _below(below)


@lru_cache(maxsize=512)
def _fields(kind: Any) -> Mapping[str, Any]:
    return dict(kind.model_fields)  # a property that Pydantic computes at every access


@lru_cache(maxsize=512)
def _types(kind: Any) -> Mapping[str, Any]:
    """The types of fields, and of private attributes if their annotations can be resolved."""
    types: dict[str, Any] = {}
    if kind.__private_attributes__:
        try:
            types = get_type_hints(kind)
        except (NameError, TypeError):
            types = {}
    private = {name: types[name] for name in kind.__private_attributes__ if name in types}
    return private | {name: field.annotation for name, field in kind.model_fields.items()}


_SCALARS = frozenset({str, int, float, bool, type(None)})


@lru_cache(maxsize=512)
def _exact(kind: Any) -> Mapping[str, frozenset[Any]]:
    """For each field, the classes whose values every format stores unchanged.

    Most fields have such a type, so their values need no conversion.
    """
    return {name: _scalars(type_) for name, type_ in _types(kind).items()}


def _scalars(type_: Any) -> frozenset[Any]:
    members = get_args(type_) if get_origin(type_) in (Union, UnionType) else (type_,)
    return frozenset(members) if _SCALARS.issuperset(members) else frozenset()


def _validated(kind: Any, plain: Any) -> Any:
    """Validate a dict. As JSON, because strict models accept a date as text in JSON only."""
    if "by_name" in signature(kind.model_validate_json).parameters:
        return kind.model_validate_json(orjson.dumps(plain), by_alias=False, by_name=True)
    if isinstance(plain, dict) and not kind.model_config.get("populate_by_name"):
        # Before Pydantic 2.11 a field with an alias is accepted by its alias only.
        plain = {_alias(kind, name): value for name, value in plain.items()}
    return kind.model_validate_json(orjson.dumps(plain))


def _alias(kind: Any, name: str) -> str:
    field = kind.model_fields.get(name)
    alias = None if field is None else field.validation_alias
    return alias if isinstance(alias, str) else name
