"""Answers: JSON, problems (RFC 9457), and the fields that stand in each of them."""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from .._types import Headers, Message, Send

JSON = b"application/json"
PROBLEM = b"application/problem+json"
PLAIN = b"text/plain; charset=utf-8"

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

GUARDS: Headers = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", _POLICY),
    (b"referrer-policy", b"no-referrer"),
)
"""In each answer: nothing keeps it, frames it, guesses its type or learns where it came from."""


class Reply(msgspec.Struct, frozen=True):
    """One answer.

    Attributes:
        status: The status code.
        content: The whole content.
        kind: Its media type.
        headers: Further field lines.
    """

    status: int
    content: bytes
    kind: bytes = JSON
    headers: Headers = ()


class Refusal(Exception):  # noqa: N818  # an outcome, not a fault
    """A request is not answered as it wishes.

    Args:
        status: The status code.
        detail: Why, for a person.
        headers: Further field lines.
        **told: Further members of the problem.
    """

    def __init__(self, status: int, detail: str, headers: Headers = (), **told: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers
        self.told = told

    def reply(self) -> Reply:
        """The answer that says so."""
        problem = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.told,
        }
        return Reply(self.status, as_json(problem), PROBLEM, self.headers)


def again_in(after: float) -> Headers:
    """Says after how many seconds the client may try again."""
    return ((b"retry-after", b"%d" % max(1, math.ceil(after))),)


def wrong(field: str, detail: str, allowed: str = "") -> Refusal:
    """The refusal of a field or parameter that is not allowed."""
    told: dict[str, Any] = {"allowed": allowed} if allowed else {}
    return Refusal(422, detail, (), field=field, **told)


def as_json(value: Any) -> bytes:
    """JSON in ASCII: texts of any kind are escaped, lone surrogates too."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


def json_reply(value: Mapping[str, Any], status: int = 200) -> Reply:
    """An answer in JSON."""
    return Reply(status, as_json(value))


def seconds(value: float) -> float | None:
    """Seconds as JSON has them; None for what has no end."""
    return round(value, 4) if math.isfinite(value) else None


def guarding(send: Send) -> Send:
    """A channel that adds to another application's answer what stands in each of ours."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name for name, _ in message["headers"]}
            lines = [line for line in GUARDS if line[0] not in there]
            message = {**message, "headers": [*message["headers"], *lines]}
        await send(message)

    return guarded


async def begin(send: Send, kind: bytes, headers: Headers, status: int = 200) -> None:
    """Begin an answer, with the fields that stand in each."""
    lines = [(b"content-type", kind), *headers, *GUARDS]
    await send({"type": "http.response.start", "status": status, "headers": lines})


async def send_reply(send: Send, reply: Reply, *, head: bool = False) -> None:
    """Send an answer; to a HEAD without its content."""
    size = (b"content-length", b"%d" % len(reply.content))
    await begin(send, reply.kind, (size, *reply.headers), reply.status)
    await send({"type": "http.response.body", "body": b"" if head else reply.content})
