"""Under which names FastAPI reads declared headers and cookies: as they stand in a request.

How a parameter becomes a name depends on aliases, on `convert_underscores`, on models that are
taken apart field by field, and on the version. So the framework is let read an empty request that
notes what it is asked for.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args


def names_read(fields: Sequence[Any], *, headers: bool) -> tuple[str, ...]:
    """The names that a framework asks a request for, without repeats.

    Args:
        fields: The framework's descriptions of parameters, all of one place.
        headers: Whether that is the header; else it is the cookies.
    """
    if not fields:
        return ()
    read = getattr(sys.modules.get("fastapi.dependencies.utils"), "request_params_to_args", None)
    asked: list[str] = []
    try:
        read(fields, _noting_headers(asked) if headers else _noting_cookies(asked))  # type: ignore[misc]
    except Exception:  # noqa: BLE001  # a version that reads otherwise, or a default that cannot be made
        asked += [name for field in fields for name in _declared(field)]
    return tuple(dict.fromkeys(asked))


def reads_all(field: Any) -> bool:
    """Whether a parameter is a model that takes, or may look at, whatever is sent."""
    return any(map(_takes_all, _models(getattr(field, "field_info", None))))


def _declared(field: Any) -> tuple[str, ...]:
    """Every name that a description gives, for want of the framework's own word."""
    info = getattr(field, "field_info", None)
    names = (field.alias, getattr(info, "validation_alias", None))
    return tuple(name for name in names if isinstance(name, str))


def _models(info: Any) -> list[Any]:
    """The models that an annotation names, alone or in a union."""
    annotation = getattr(info, "annotation", None)
    parts = (annotation, *get_args(annotation))
    return [part for part in parts if isinstance(getattr(part, "model_fields", None), Mapping)]


def _takes_all(model: Any) -> bool:
    if getattr(model, "model_config", {}).get("extra") == "allow":
        return True
    decorators = getattr(model, "__pydantic_decorators__", None)
    validators = getattr(decorators, "model_validators", {}).values()
    return any(validator.info.mode in ("before", "wrap") for validator in validators)


def _noting_headers(asked: list[str]) -> Any:
    """Headers without a line, of the framework's own type."""
    headers: Any = sys.modules["starlette.datastructures"].Headers

    def note(_: Any, name: str) -> list[str]:
        asked.append(name)
        return []

    def lacks(_: Any, name: str) -> bool:
        asked.append(name)
        return False

    def misses(_: Any, name: str) -> str:
        asked.append(name)
        raise KeyError(name)

    members = {"getlist": note, "__contains__": lacks, "__getitem__": misses}
    return type("NotingHeaders", (headers,), members)(raw=[])


def _noting_cookies(asked: list[str]) -> Any:
    """Cookies without any."""

    class NotingCookies(dict[str, str]):
        def __contains__(self, name: object) -> bool:
            asked.append(str(name))
            return False

        def get(self, name: str, default: Any = None) -> Any:
            asked.append(name)
            return default

    return NotingCookies()
