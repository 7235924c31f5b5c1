"""Pydantic models as state: what they hold, not what they show.

Serializers, excluded fields and masked secrets are how a model presents itself, validators are how
it is made; neither is asked here. A model is written as the values of its fields under their own
names, its extra values, and a note under the key `MARK`: its class, which of the fields nobody has
set, which values are written as they are although the annotation says something else (an enum's
value, None in place of a number), and private attributes. It is put together again from these.

Pydantic is not needed: a model can only be met where it was imported already.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from inspect import signature
from typing import Any, Final, TypeAlias, get_type_hints

import msgspec
import orjson

MARK: Final = "\0model"
"""The key of the note in a written model."""

_Note: TypeAlias = tuple[str, list[str], list[str], dict[str, Any] | None]

Convert: TypeAlias = Callable[[Any, Any], Any]
"""Makes an instance of a type (second) of plain objects (first); raises TypeError or ValueError."""


def is_model(type_: object) -> bool:
    """Whether it is a class of Pydantic 2 models."""
    pydantic = sys.modules.get("pydantic")
    return (
        pydantic is not None
        and isinstance(type_, type)
        and issubclass(type_, pydantic.BaseModel)
        and hasattr(type_, "__pydantic_validator__")
    )


def _base() -> Any:
    """The class of all models. Its state is what copies of a model are made of."""
    return sys.modules["pydantic"].BaseModel


def is_marked(plain: object) -> bool:
    """Whether it is a model that was written."""
    return isinstance(plain, dict) and MARK in plain


def state_of(model: Any) -> dict[str, Any]:
    """All that a model holds: fields, extra values, names of what was set, private attributes."""
    state = _base().__getstate__(model)
    names = type(model).model_fields
    held = state["__dict__"]
    return {
        # Beside fields there are what cached properties have computed.
        "fields": {name: held[name] for name in names if name in held},
        "extra": state["__pydantic_extra__"] or {},
        "set": set(state["__pydantic_fields_set__"]),
        "private": state["__pydantic_private__"] or {},
    }


def written(model: Any, is_plain: Callable[[Any, Any], bool]) -> dict[str, Any]:
    """The model as a dict of its values, with the note.

    Args:
        model: The model.
        is_plain: Whether a value must be written as it is, where it is not what the type says.
    """
    kind: Any = type(model)
    state = state_of(model)
    values = state["fields"] | state["extra"]
    hints = _hints(kind)
    declared = {name: field.annotation for name, field in kind.model_fields.items()}
    pairs = [(name, value, declared.get(name, Any)) for name, value in state["fields"].items()]
    pairs += [(name, value, hints.get(name, Any)) for name, value in state["private"].items()]
    as_is = [name for name, value, type_ in pairs if is_plain(value, type_)]
    unset = sorted(values.keys() - state["set"])
    return {MARK: [kind.__qualname__, unset, as_is, state["private"]], **values}


def restored(kind: Any, plain: Any, convert: Convert) -> Any:
    """The model that was written, of this class or one below it.

    A dict without a note was made by hand: it is validated as any input, by the fields' names.

    Raises:
        TypeError: If it was another class, or lacks what the class requires by now.
        ValueError: If a value is not what the class says by now.
    """
    if not is_marked(plain):
        return _validated(kind, plain)
    name, unset, as_is, private = msgspec.convert(plain[MARK], _Note)
    kind = _class_named(kind, name)
    values, hints = {}, _hints(kind)

    def read(name: str, value: Any, type_: Any) -> Any:
        return unmarked(value) if name in as_is else convert(value, type_)

    for name, field in kind.model_fields.items():
        if name in plain:
            values[name] = read(name, plain[name], field.annotation)
        elif field.is_required():
            raise TypeError(f"{kind.__qualname__} requires {name}")
        else:
            values[name] = field.get_default(call_default_factory=True)
            unset = [*unset, name]
    extra = None
    if kind.model_config.get("extra") == "allow":
        known = {MARK, *values}
        extra = {name: unmarked(value) for name, value in plain.items() if name not in known}
    private = {
        name: read(name, value, hints.get(name, Any)) for name, value in (private or {}).items()
    }
    model = kind.__new__(kind)
    _base().__setstate__(
        model,
        {
            "__dict__": values,
            "__pydantic_extra__": extra,
            "__pydantic_fields_set__": {*values, *(extra or ())}.difference(unset),
            "__pydantic_private__": private if kind.__private_attributes__ else None,
        },
    )
    return model


def unmarked(plain: Any) -> Any:
    """Plain objects as a caller without a type gets them: models are dicts of their values."""
    if isinstance(plain, list):
        return [unmarked(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if MARK in plain and plain.keys() == {MARK, "root"}:
        return unmarked(plain["root"])
    return {key: unmarked(item) for key, item in plain.items() if key != MARK}


def _class_named(kind: Any, name: str) -> Any:
    """The class, or the one below it, that has this name.

    Raises:
        TypeError: If there is none, or several.
    """
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
def _hints(kind: Any) -> Mapping[str, Any]:
    """The annotations of private attributes, where there are any and they can be resolved."""
    if not kind.__private_attributes__:
        return {}
    try:
        return get_type_hints(kind)
    except (NameError, TypeError):
        return {}


def _validated(kind: Any, plain: Any) -> Any:
    """The model by validation. As JSON, because strict models take a date's text from JSON only."""
    if "by_name" in signature(kind.model_validate_json).parameters:
        return kind.model_validate_json(orjson.dumps(plain), by_alias=False, by_name=True)
    if isinstance(plain, dict) and not kind.model_config.get("populate_by_name"):
        # Before Pydantic 2.11 a field with an alias is known by it alone.
        plain = {_alias(kind, name): value for name, value in plain.items()}
    return kind.model_validate_json(orjson.dumps(plain))


def _alias(kind: Any, name: str) -> str:
    field = kind.model_fields.get(name)
    alias = None if field is None else field.validation_alias
    return alias if isinstance(alias, str) else name
