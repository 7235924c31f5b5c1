"""The names under which FastAPI reads declared headers and cookies, as they are in a request.

How a parameter becomes a name depends on aliases, on `convert_underscores`, on models that are read
field by field, and on the version. So the framework itself reads an empty request that records the
names.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args


def names_read(fields: Sequence[Any], *, headers: bool) -> tuple[str, ...]:
    """The names that a framework reads from a request, without repeats.

    Args:
        fields: The framework's descriptions of parameters, all of one place.
        headers: Whether they are headers, or else cookies.
    """
    if not fields:
        return ()
    read = getattr(sys.modules.get("fastapi.dependencies.utils"), "request_params_to_args", None)
    names: list[str] = []
    try:
        read(fields, _recording_headers(names) if headers else _recording_cookies(names))  # type: ignore[misc]
    except Exception:  # noqa: BLE001  # another version, or a default that raises
        names += [name for field in fields for name in _declared(field)]
    return tuple(dict.fromkeys(names))


def reads_all(field: Any) -> bool:
    """Whether a parameter is a model that takes, or may read, all that is sent."""
    return any(map(_takes_all, _models(getattr(field, "field_info", None))))


def _declared(field: Any) -> tuple[str, ...]:
    """Every name that a description gives, where the framework cannot tell."""
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


def _recording_headers(names: list[str]) -> Any:
    """Empty headers, of the framework's own type."""
    headers: Any = sys.modules["starlette.datastructures"].Headers

    def record(_: Any, name: str) -> list[str]:
        names.append(name)
        return []

    def lacks(_: Any, name: str) -> bool:
        names.append(name)
        return False

    def misses(_: Any, name: str) -> str:
        names.append(name)
        raise KeyError(name)

    members = {"getlist": record, "__contains__": lacks, "__getitem__": misses}
    return type("RecordingHeaders", (headers,), members)(raw=[])


def _recording_cookies(names: list[str]) -> Any:
    """No cookies."""

    class RecordingCookies(dict[str, str]):
        def __contains__(self, name: object) -> bool:
            names.append(str(name))
            return False

        def get(self, name: str, default: Any = None) -> Any:
            names.append(name)
            return default

    return RecordingCookies()
