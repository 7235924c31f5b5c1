"""Wrappers of `send`: to add a field line, to call a function with the start, to drop content."""

from collections.abc import Callable
from typing import TypeAlias

from .._types import Headers, Message, Send
from ..policy import cache_status
from ..policy.downstream import told
from ..policy.headers import normalised
from ..policy.tags import names_tags
from ..policy.terms import Terms

OnResponse: TypeAlias = Callable[[int, Headers], list[Message]]
"""Takes the status and the field lines of a response; what its client gets instead, if anything."""


def with_cache_status(send: Send, member: bytes, terms: Terms | None = None) -> Send:
    """A `send` that adds a `Cache-Status` member to the response (RFC 9211 §2).

    Args:
        send: The client's.
        member: The member.
        terms: The terms of the request's rule, for what caches downstream need to know.
    """
    chosen = terms is not None and bool(terms.selecting or terms.partitioned or terms.codings)

    async def added(message: Message) -> None:
        if message["type"] == "http.response.start":
            lines = [*message.get("headers", ())]
            if terms is not None and (chosen or names_tags(lines)):
                lines = [*told(normalised(lines), terms)]
            message = {**message, "headers": [*lines, (cache_status.NAME, member)]}
        await send(message)

    return added


def observed(send: Send, on_response: OnResponse) -> Send:
    """A `send` that calls a function with the start of the application's response."""
    replaced = False

    async def observing(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start":
            instead = on_response(message["status"], normalised(message.get("headers", ())))
            replaced = bool(instead)
            for reply in instead:
                await send(reply)
        if not replaced:
            await send(message)

    return observing


def without_content(send: Send) -> Send:
    """A `send` for the answer to a HEAD that was asked for as a GET (RFC 9110 §9.3.2)."""

    async def headed(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return headed
