"""The parameters that a FastAPI route declares, and the text of each value as templates get it.

A value may be written in several ways (`007` and `7` are one integer). A template takes its
canonical form, so that all of them carry the same tag.
"""

import functools
import inspect
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from uuid import UUID

import msgspec


class Parameter(msgspec.Struct, frozen=True):
    """A declared parameter, which a template may name.

    Attributes:
        alias: Its name in the query string.
        canonical: Converts a value's text to its canonical form; None if that is the text itself.
        fallback: Makes the default that the endpoint gets; None where the signature states none.
        required: Whether requests without it in the query are refused.
        many: Whether the endpoint takes all the values that were sent, not only the last.
    """

    alias: str
    canonical: Callable[[str], str] | None = None
    fallback: Callable[[], Any] | None = None
    required: bool = False
    many: bool = False

    def read(self, text: str) -> str:
        """The canonical text."""
        return text if self.canonical is None else self.canonical(text)

    def read_all(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The values that the endpoint takes of those that were sent."""
        return tuple(dict.fromkeys(map(self.read, texts if self.many else texts[-1:])))

    def default(self) -> tuple[str, ...]:
        """What a client would send for the default; empty where no text is equal to it."""
        if self.fallback is None:
            return ()
        try:
            value = self.fallback()
        except Exception:  # noqa: BLE001  # the application's own; it fails in the endpoint as well
            return ()
        several = self.many and isinstance(value, list | tuple | set | frozenset | deque)
        texts = [_default_text(one) for one in (value if several else [value])]
        return tuple(dict.fromkeys(self.read(text) for text in texts if text is not None))


def parameters_of(dependant: Any) -> dict[str, Parameter]:
    """The path and query parameters that a FastAPI route declares, its dependencies' included."""
    found: dict[str, Parameter] = {}
    if dependant is None:
        return found
    for field in dependant.path_params:
        declared = Parameter(field.alias, _canonical(field.field_info.annotation))
        found[field.name] = found[field.alias] = declared
    for field in dependant.query_params:
        model = _model_fields(field.field_info.annotation)
        if model is not None:
            found |= {name: _query_field(name, info) for name, info in model.items()}
        else:
            declared = _query_field(field.alias, field.field_info)
            found[field.name] = found[declared.alias] = declared
    for inner in dependant.dependencies:
        found = parameters_of(inner) | found
    return found


def _model_fields(annotation: Any) -> Mapping[str, Any] | None:
    """The fields of a model of query parameters, which may be optional as a whole."""
    for part in _alternatives(annotation):
        fields = getattr(part, "model_fields", None)
        if isinstance(fields, Mapping):
            return fields
    return None


def _query_field(name: str, info: Any) -> Parameter:
    """A query parameter, from what Pydantic knows of it."""
    element, many = _element(info.annotation)
    canonical = _canonical(element)
    alias = info.validation_alias or info.alias or name
    if not isinstance(alias, str):
        # One of several names; which one a request uses is not known here.
        return Parameter(name, canonical, many=many)
    fallback = functools.partial(info.get_default, call_default_factory=True)
    return Parameter(alias, canonical, fallback, info.is_required(), many)


def _element(annotation: Any) -> tuple[Any, bool]:
    """The type of one value, and whether the framework collects all that were sent."""
    for part in _alternatives(annotation):
        kind = get_origin(part) or part
        if inspect.isclass(kind) and issubclass(kind, _COLLECTIONS) and not issubclass(kind, str):
            members = [
                _without_metadata(member) for member in get_args(part) if member is not Ellipsis
            ]
            return members[0] if len(set(members)) == 1 else Any, True
    return annotation, False


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The parts of a union, or the one type."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return tuple(map(_without_metadata, parts))


def _without_metadata(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _default_text(value: Any) -> str | None:
    """What a client would send for this value; None where no text is equal to it."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, str | int | float | Decimal | UUID) else None


_COLLECTIONS = (Sequence, AbstractSet, deque)
_SCALARS = frozenset({int, float, bool, UUID, str, type(None)})


def _canonical(annotation: Any) -> Callable[[str], str] | None:
    """How the framework reads a value of this type, text to text; None if it does not change."""
    parts = _alternatives(annotation)
    if not all(map(_is_canonical_type, parts)):
        return None
    return None if set(parts) <= {str, type(None)} else _reader(annotation)


def _is_canonical_type(part: Any) -> bool:
    """Whether a value of this type has one canonical text."""
    return inspect.isclass(part) and (part in _SCALARS or issubclass(part, Enum))


@functools.lru_cache(maxsize=256)
def _reader(annotation: Any) -> Callable[[str], str] | None:
    pydantic = sys.modules.get("pydantic")
    adapter: Any = getattr(pydantic, "TypeAdapter", None)
    if adapter is None:
        return None
    validate = adapter(annotation).validate_python

    def read(text: str) -> str:
        try:
            value = validate(text)
        except ValueError:
            # The framework will refuse the request, so its tags do not matter.
            return text
        return str(value.value if isinstance(value, Enum) else value)

    return read
