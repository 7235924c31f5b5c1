"""Responses of the framework: from what an endpoint returns, and from what is stored."""

import inspect
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec

from ..._types import Header
from ...policy.headers import merged
from ...routing.endpoints import Call

OWN_FIELDS = b"asgi-multitier-own-fields"
"""A stored field line, never sent: the endpoint returned a response of its own, and the fields that
dependencies set are not merged to it. FastAPI does so, and a hit does as a miss."""

_TEMPLATES = "starlette.templating"


class Made(msgspec.Struct):
    """The response of an endpoint, taken where it was made: inside every layer.

    Attributes:
        response: What the framework gets.
        status: The status code.
        lines: The endpoint's own field lines.
        body: The content; None if it is sent on while it comes, or is not understood.
        streams: Whether it comes as an iterator.
        joins: Whether the fields that dependencies set are merged to it.
    """

    response: Any
    status: int
    lines: list[Header]
    body: bytes | None
    streams: bool = False
    joins: bool = False


class Shown(msgspec.Struct):
    """A whole response, as the framework was given it.

    Attributes:
        body: The content.
        age: Seconds since it was generated; None for a new one.
        member: What `Cache-Status` is to say; None if the run says it.
    """

    body: bytes
    age: float | None = None
    member: bytes | None = None


def is_set(injected: Any) -> bool:
    """Whether dependencies have set anything on the injected response."""
    return bool(injected.raw_headers) or injected.status_code is not None


class Aside:
    """What dependencies have set on the injected response, taken aside while the endpoint runs.

    These fields are for this request alone: a limit, a cookie, an identifier.

    Args:
        injected: The response on which they are set; None where there is none.
    """

    __slots__ = ("_injected", "lines", "status")

    def __init__(self, injected: Any) -> None:
        self._injected = injected
        self.lines: list[Header] = []
        self.status: int | None = None
        if injected is not None:
            own = injected.raw_headers
            if own:
                self.lines = list(own)
                own.clear()
            self.status = injected.status_code
            injected.status_code = None


def plain_response(status: int, lines: list[Header], body: bytes, background: Any = None) -> Any:
    """A response of the framework with exactly these field lines."""
    response = sys.modules["starlette.responses"].Response(
        content=body, status_code=status, background=background
    )
    response.raw_headers = lines
    return response


def response_for(call: Call, status: int, lines: Iterable[Header], body: bytes) -> Any:
    """A stored response for the framework, with what dependencies have set for this request."""
    given = list(lines)
    own = [line for line in given if line[0] != OWN_FIELDS]
    if call.response is not None and len(own) == len(given):
        aside = Aside(call.response)
        if aside.lines:
            own = list(merged(tuple(own), aside.lines))
        status = status_for(call, status, aside)
    return plain_response(status, own, body)


async def made_of(call: Call, value: Any) -> Made:
    """The response that the framework would make of what the endpoint has returned.

    Raises:
        Exception: What serialization raises.
    """
    responses = sys.modules["starlette.responses"]
    if isinstance(value, responses.Response):
        ready = _of_response(value, responses)
        ready.joins = value is call.response  # it is theirs as well
        return ready
    made = await _of_value(call, value)
    return made or Made(value, 0, [], None)


def _of_response(response: Any, responses: Any) -> Made:
    status, lines = response.status_code or 200, list(response.raw_headers)
    sending = type(response).__call__
    if sending is responses.Response.__call__ or sending.__module__ == _TEMPLATES:
        body = bytes(response.body)
        same = plain_response(status, list(lines), body, response.background)
        return Made(same, status, lines, body)
    # A file, and a class of the application's own, send in their own way: that is not followed.
    streams = sending is responses.StreamingResponse.__call__
    return Made(response, status, lines, None, streams)


async def _of_value(call: Call, value: Any) -> Made | None:
    """The response that FastAPI makes of a value; None where FastAPI does not answer.

    Its status is the endpoint's own or the route's.
    """
    routing, route = sys.modules.get("fastapi.routing"), _route_of(call)
    if routing is None or route is None:
        return None
    field = getattr(route, "secure_cloned_response_field", route.response_field)
    given = route.response_class
    is_default = not isinstance(given, type)
    accepted = _accepted(routing.serialize_response)
    as_json = is_default and field is not None and "dump_json" in accepted
    options: dict[str, Any] = {"dump_json": True} if as_json else {}
    if "endpoint_ctx" in accepted:
        options["endpoint_ctx"] = _context_of(call, route)
    content = await routing.serialize_response(
        field=field,
        response_content=value,
        include=route.response_model_include,
        exclude=route.response_model_exclude,
        by_alias=route.response_model_by_alias,
        exclude_unset=route.response_model_exclude_unset,
        exclude_defaults=route.response_model_exclude_defaults,
        exclude_none=route.response_model_exclude_none,
        is_coroutine=not call.is_sync,
        **options,
    )
    injected = call.response
    own = (injected.status_code if injected is not None else None) or route.status_code
    arguments = {} if own is None else {"status_code": own}
    if as_json:
        responses = sys.modules["starlette.responses"]
        response = responses.Response(content, media_type="application/json", **arguments)
    else:
        response = (given.value if is_default else given)(content, **arguments)
    if not sys.modules["fastapi.utils"].is_body_allowed_for_status_code(response.status_code):
        response.body = b""
    if injected is not None:
        response.raw_headers.extend(injected.raw_headers)
    made = _of_response(response, sys.modules["starlette.responses"])
    made.joins = True
    return made


def status_for(call: Call, status: int, aside: Aside) -> int:
    """The status for this client: a dependency's own, where the endpoint has set none.

    Args:
        call: The call.
        status: That of the endpoint's response.
        aside: What the dependencies have set.
    """
    if aside.status is None or status != (getattr(_route_of(call), "status_code", None) or 200):
        return status
    return aside.status


def _route_of(call: Call) -> Any:
    """What FastAPI knows of the route, as it is where its router is included; None for others."""
    scope = call.request.scope
    context = scope.get("fastapi")
    included = context.get("effective_route_context") if isinstance(context, dict) else None
    route = included if hasattr(included, "response_field") else scope.get("route")
    return route if hasattr(route, "response_field") else None


@lru_cache(8)
def _accepted(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def _context_of(call: Call, route: Any) -> dict[str, Any]:
    """Where the endpoint stands, for the message of a response that does not fit its model."""
    code = call.endpoint.__code__
    path = f"{call.request.method} {getattr(route, 'path', '')}"
    return {
        "file": code.co_filename,
        "line": code.co_firstlineno,
        "function": call.endpoint.__name__,
        "path": path,
    }
