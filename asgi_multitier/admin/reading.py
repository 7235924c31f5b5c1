"""Requests taken apart: the query, the content, and what they may hold."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import parse_qsl

import orjson

from .._types import Headers, Receive, Scope
from ..policy.headers import values
from .replies import Refusal, wrong
from .rights import Right

MAX_BODY = 64 * 1024
"""Bytes of the largest content."""

MAX_QUERY = 4 * 1024
"""Bytes of the longest query."""

_PATIENCE = 10.0
"""Seconds that the content may take to arrive."""


class Gone(Exception):  # noqa: N818  # an outcome, not a fault
    """The client has left."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes:
        scope: The ASGI scope.
        right: What it may do.
        client: The client's address.
        query: The parameters, each once.
        body: The object that was sent; empty for a GET.
        argument: What stands in the path in place of `{}`.
        redact: Whether what belongs to users is left out unless an operator wants it.
    """

    scope: Scope
    right: Right
    client: str
    query: Mapping[str, str]
    body: Mapping[str, Any] = field(default_factory=dict)
    argument: str = ""
    redact: bool = True

    @property
    def sees_all(self) -> bool:
        """Whether it may see what is left out for viewers."""
        return not self.redact or self.right == "operator"

    def reveals(self) -> bool:
        """Whether what belongs to users is shown.

        Raises:
            Refusal: If a viewer asks for that.
        """
        if not self.flag("reveal"):
            return not self.redact
        if not self.sees_all:
            raise needs_operator("reveal=1")
        return True

    def flag(self, name: str) -> bool:
        """A parameter that is 1 or 0.

        Raises:
            Refusal: If it is something else.
        """
        return self.choice(name, ("0", "1"), "0") == "1"

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        """A parameter that is one of some words.

        Raises:
            Refusal: If it is none of them.
        """
        given = self.query.get(name, default)
        if given not in allowed:
            raise wrong(name, f"{name}={given[:80]!r} is not allowed", ", ".join(sorted(allowed)))
        return given

    def number(self, name: str, low: int, high: int, default: int) -> int:
        """A parameter that is a whole number.

        Raises:
            Refusal: If it is none, or beyond the bounds.
        """
        given = self.query.get(name)
        if given is None:
            return default
        allowed = f"a whole number from {low} to {high}"
        if not (given.isascii() and given.isdigit() and len(given) < 10):
            raise wrong(name, f"{name}={given[:80]!r} is not allowed", allowed)
        if not low <= int(given) <= high:
            raise wrong(name, f"{name}={given} is not allowed", allowed)
        return int(given)


def needs_operator(what: str) -> Refusal:
    """The refusal of something that a viewer may not do."""
    return Refusal(403, f"{what} is for operators", rights="operator")


def read_query(raw: bytes, known: Collection[str]) -> dict[str, str]:
    """The parameters of a query.

    Args:
        raw: The query as sent.
        known: The names that are allowed.

    Raises:
        Refusal: 414 if it is too long, 422 if a name is not known, or comes twice.
    """
    if len(raw) > MAX_QUERY:
        raise Refusal(414, f"the query is longer than {MAX_QUERY} bytes")
    found: dict[str, str] = {}
    for name, text in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
        check_known(name, known)
        if name in found:
            raise wrong(name, f"{name} was given twice")
        found[name] = text
    return found


def check_known(name: str, known: Collection[str]) -> None:
    """Refuse a name that is not known.

    Raises:
        Refusal: 422, with the names that are.
    """
    if name in known:
        return
    near = get_close_matches(name[:80], known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    allowed = ", ".join(sorted(known)) or "none"
    raise wrong(name[:80], f"{name[:80]!r} is not known{hint}", allowed)


def truth(given: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """A member that is true or false; null is as if it were not there.

    Raises:
        Refusal: If it is something else.
    """
    found = given.get(name)
    if found is None:
        return default
    if not isinstance(found, bool):
        raise wrong(name, f"{name} is neither true nor false", "true or false")
    return found


async def read_object(receive: Receive, headers: Headers, known: Collection[str]) -> dict[str, Any]:
    """The JSON object that a request contains.

    Args:
        receive: The client's channel.
        headers: The request's field lines.
        known: The names that the object may have.

    Raises:
        Refusal: 408 if it does not arrive in time, 413 if it is too large, 415 if it is no JSON by
            its type, 422 if it is no object, or has a name that is not known.
        Gone: If the client leaves.
    """
    kinds = values(headers, b"content-type")
    if len(kinds) != 1 or kinds[0].partition(b";")[0].strip().lower() != b"application/json":
        raise Refusal(415, "send Content-Type: application/json")
    for length in values(headers, b"content-length"):
        if length.isdigit() and (len(length) > 10 or int(length) > MAX_BODY):
            raise _too_large()
    try:
        async with asyncio.timeout(_PATIENCE):
            content = await _read(receive)
    except TimeoutError:
        raise Refusal(408, f"the content did not arrive within {_PATIENCE:g} s") from None
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise wrong("", f"the content is no JSON: {error}", "a JSON object") from None
    if not isinstance(found, dict):
        raise wrong("", "the content is no JSON object", "a JSON object")
    for name in found:
        check_known(name, known)
    return found


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise _too_large()
        if part:
            parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large() -> Refusal:
    return Refusal(413, f"the content is larger than {MAX_BODY} bytes")
