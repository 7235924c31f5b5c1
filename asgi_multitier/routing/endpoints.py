"""Endpoints that the package puts a function of its own around, because it needs their arguments.

A framework reads an endpoint's signature to know what it is to be given. The function around it has
the same signature, so routes, documentation and dependencies stay as they are; where the framework
takes a request or a response by annotation, it may ask for these as well, under names that no
endpoint has.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from inspect import Parameter, Signature
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

import msgspec

from ..errors import ConfigError

_REQUEST, _RESPONSE = "_asgi_multitier_request", "_asgi_multitier_response"
_HIDDEN = {"request": _REQUEST, "response": _RESPONSE}
_METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "query")
_FRAMEWORKS = frozenset(
    ("fastapi", "starlette", "litestar", "quart", "django", "falcon", "blacksheep", "flask")
)
_around: "WeakKeyDictionary[Any, Callable[..., Any]]" = WeakKeyDictionary()
"""The endpoint of each function that the package has put around one. No attribute says so: a
decorator with `functools.wraps` would take that over, and look like one of them."""


class Call(msgspec.Struct):
    """One call of an endpoint by its framework.

    Attributes:
        endpoint: The function.
        args, kwargs: What it is called with.
        request: The framework's request; None if it gave none.
        response: The response on which dependencies set fields; None where there is none.
    """

    endpoint: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    request: Any = None
    response: Any = None

    @property
    def is_sync(self) -> bool:
        """Whether the endpoint blocks, and belongs into a worker thread."""
        return not inspect.iscoroutinefunction(self.endpoint)

    async def run(self) -> Any:
        """What the endpoint returns, called as its framework would call it."""
        if not self.is_sync:
            return await self.endpoint(*self.args, **self.kwargs)
        concurrency = sys.modules.get("starlette.concurrency")
        if concurrency is None:
            return self.endpoint(*self.args, **self.kwargs)
        return await concurrency.run_in_threadpool(self.endpoint, *self.args, **self.kwargs)

    def arguments(self) -> Mapping[str, Any]:
        """The endpoint's arguments by name, defaults included."""
        if not self.args:
            return self.kwargs
        bound = inspect.signature(self.endpoint).bind_partial(*self.args, **self.kwargs)
        bound.apply_defaults()
        return bound.arguments


def innermost(function: Any) -> Any:
    """The endpoint itself, without the functions that the package has put around it."""
    while inspect.isfunction(function) and function in _around:
        function = _around[function]
    return function


def is_of_framework(endpoint: Any) -> bool:
    """Whether a framework answers by itself, such as the pages of its documentation."""
    module = str(getattr(innermost(endpoint), "__module__", None) or "")
    return module.partition(".")[0] in _FRAMEWORKS


def arguments_of(endpoint: Any) -> set[str]:
    """The names of an endpoint's arguments, of an endpoint class those of its methods."""
    if inspect.isclass(endpoint):
        methods = (getattr(endpoint, name, None) for name in _METHODS)
        return set().union(*map(arguments_of, methods))
    function = inspect.unwrap(endpoint) if callable(endpoint) else None
    if not inspect.isfunction(function):
        return set()
    return set(inspect.signature(function).parameters)


def around(endpoint: Callable[..., Any], called: Callable[..., Any], *, asks: bool) -> Any:
    """Put a function around an endpoint, with its signature.

    Args:
        endpoint: The endpoint.
        called: Takes its place.
        asks: Whether the framework is asked for its request and its response as well.
    """
    made: Any = functools.wraps(endpoint)(called)
    _around[made] = endpoint
    signature = signature_of(endpoint)
    made.__signature__ = _asking(signature) if asks else signature
    return made


def call_of(endpoint: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """A call as its framework makes it, without what only the function around it asked for.

    Args:
        endpoint: The function.
        args, kwargs: What the function around it was called with; `kwargs` is the call's own.
    """
    request = kwargs.pop(_REQUEST, None)
    response = kwargs.pop(_RESPONSE, None)
    if request is None:
        request = _among(args, kwargs, "requests", "Request")
    if response is None:
        response = _among(args, kwargs, "responses", "Response")
    return Call(endpoint, args, kwargs, request, response)


def _among(args: tuple[Any, ...], kwargs: dict[str, Any], module: str, name: str) -> Any:
    """The argument that is an object of this class of the framework's; None if there is none."""
    kind = getattr(sys.modules.get(f"starlette.{module}"), name, ())
    return next((one for one in (*args, *kwargs.values()) if isinstance(one, kind)), None)


def signature_of(endpoint: Callable[..., Any]) -> Signature:
    """The signature with the annotations themselves, not their texts.

    Frameworks evaluate a text in the module of the function that they see, which is another one.
    """
    signature = inspect.signature(endpoint)
    inner = inspect.unwrap(endpoint)
    names = {**getattr(inner, "__globals__", {}), **enclosed(inner)}
    parameters = [
        parameter.replace(annotation=_evaluated(parameter.annotation, names))
        for parameter in signature.parameters.values()
    ]
    returned = _evaluated(signature.return_annotation, names)
    return signature.replace(parameters=parameters, return_annotation=returned)


def enclosed(function: Any) -> dict[str, Any]:
    """What a function holds of those around it; what is not assigned yet is left out."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    found = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=True):
        with suppress(ValueError):
            found[name] = cell.cell_contents
    return found


def _evaluated(annotation: Any, names: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    holder = type("Annotated", (), {"__annotations__": {"it": annotation}})
    try:
        return get_type_hints(holder, names, names, include_extras=True)["it"]
    except Exception:  # noqa: BLE001  # the framework says what is wrong with it
        return annotation


def _asking(signature: Signature) -> Signature:
    """The signature with a request and a response, where the endpoint takes none itself."""
    parameters = list(signature.parameters.values())
    added = [
        Parameter(_HIDDEN[kind], Parameter.KEYWORD_ONLY, annotation=annotation)
        for kind, annotation in _asked_for()
        if not any(_takes(one, annotation) for one in parameters)
    ]
    last = [one for one in parameters if one.kind is Parameter.VAR_KEYWORD]
    others = [one for one in parameters if one.kind is not Parameter.VAR_KEYWORD]
    return signature.replace(parameters=[*others, *added, *last])


def _asked_for() -> list[tuple[str, Any]]:
    requests, responses = map(sys.modules.get, ("starlette.requests", "starlette.responses"))
    found: list[tuple[str, Any]] = []
    if requests is not None and responses is not None and "fastapi" in sys.modules:
        found = [("request", requests.Request), ("response", responses.Response)]
    return found


def _takes(parameter: Parameter, kind: Any) -> bool:
    """Whether a framework gives this parameter an object of that class."""
    annotation = parameter.annotation
    annotation = getattr(annotation, "__origin__", annotation)
    return isinstance(annotation, type) and issubclass(annotation, kind)


def refuse_wrapped(endpoint: Any, *, where: str) -> None:
    """Refuse what a cached answer would skip: a decorator between the mark and the function.

    Raises:
        ConfigError: If it is no plain function, or a decorator below the mark can be seen.
    """
    allowed = "@cached(guarded=...) directly on a function that returns a response or a value"
    if inspect.isasyncgenfunction(endpoint) or inspect.isgeneratorfunction(endpoint):
        raise ConfigError(f"{where}: guarded: a generator streams its answer; expected {allowed}")
    if not inspect.isfunction(endpoint):
        raise ConfigError(
            f"{where}: guarded: {endpoint!r} is no function; expected {allowed}; of an endpoint "
            "class, mark its methods"
        )
    function = innermost(endpoint)
    if hasattr(function, "__wrapped__") or _encloses_endpoint(function):
        raise ConfigError(
            f"{where}: guarded: there is a decorator below, which a hit would skip with all that "
            f"it checks; expected {allowed}, and the other decorators above it"
        )


def _encloses_endpoint(function: Any) -> bool:
    """Whether the function looks like the inside of a decorator without `functools.wraps`.

    It takes anything, or a request as the one that it holds does. Others that take the same are
    helpers more often than endpoints.
    """
    held = enclosed(function).values()
    shape = _shape(function)
    if shape is not None and shape[:1] != ("request",):
        return False
    return any(inspect.isfunction(one) and (shape is None or _shape(one) == shape) for one in held)


def _shape(function: Any) -> tuple[str, ...] | None:
    """The names of the parameters; None if the function takes whatever it is given."""
    parameters = inspect.signature(function).parameters.values()
    if any(one.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for one in parameters):
        return None
    return tuple(one.name for one in parameters)


def is_around(function: object, called: set[int]) -> bool:
    """Whether a function was put around one of these.

    Args:
        function: What may wrap another, as `functools.wraps` says it.
        called: Identities of functions.
    """
    inner = getattr(function, "__wrapped__", None)
    try:
        found = None if inner is None else inspect.unwrap(inner, stop=lambda f: id(f) in called)
    except ValueError:  # it says that it wraps itself
        return False
    return found is not None and id(found) in called
