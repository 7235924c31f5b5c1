"""Read-your-writes: a client carries the log position of its own last write.

The answer to a mutation gives the client a cookie with the log position that an instance must have
applied to reflect the write. An instance that has not applied it yet waits for a moment, and then
asks the application instead of the cache. The cookie is signed, so that no client can make an
instance wait for a position that never comes, and short-lived: after a few seconds every instance
has applied the position, or knows that it is behind.
"""

import hmac
from collections.abc import Sequence
from hashlib import blake2b

from .._types import Header
from ..entry import Born

COOKIE = "asgi-multitier-position"
MAX_AGE = 10
"""Seconds that a client keeps the cookie: longer than an instance may be behind unnoticed."""

PATIENCE = 0.05
"""Seconds that an instance waits to be as far as a client is, before it asks the application."""

UNKNOWN = Born("", 0)
"""The write could not be recorded in the log: for a while the application answers this client."""

_SIGNATURE = 16


def token(position: Born, secret: bytes) -> str:
    """The cookie's value: generation, number and signature."""
    text = f"{position.gen}.{position.seq}"
    return f"{text}.{_signature(text, secret)}"


def read_token(value: str, secret: bytes) -> Born | None:
    """The position in a cookie's value, or None if this application has not signed it."""
    text, dot, signature = value.rpartition(".")
    if not dot or not hmac.compare_digest(
        signature.encode("utf-8", "replace"), _signature(text, secret).encode()
    ):
        return None
    gen, _, seq = text.rpartition(".")
    return Born(gen, int(seq))


def _signature(text: str, secret: bytes) -> str:
    key = blake2b(secret, digest_size=32, person=b"amt-position").digest()
    return blake2b(text.encode(), key=key, digest_size=_SIGNATURE).hexdigest()


def set_cookie(position: Born, secret: bytes, *, secure: bool) -> Header:
    """The field line that gives a client its position (RFC 6265 §4.1)."""
    attributes = f"Path=/; Max-Age={MAX_AGE}; HttpOnly; SameSite=Lax"
    if secure:
        attributes += "; Secure"
    return b"set-cookie", f"{COOKIE}={token(position, secret)}; {attributes}".encode()


def take_position(headers: Sequence[Header], secret: bytes) -> tuple[list[Header], Born | None]:
    """The field lines without the position's cookie, and the position; None without a valid one."""
    kept, value = take_cookie(headers)
    return kept, None if value is None else read_token(value, secret)


def take_cookie(headers: Sequence[Header]) -> tuple[list[Header], str | None]:
    """The field lines without the position's cookie, and its value.

    A Cookie line in which nothing is left is dropped: then the request carries no cookie at all.
    """
    mark = COOKIE.encode() + b"="
    kept: list[Header] = []
    value: str | None = None
    for name, line in headers:
        if name.lower() != b"cookie" or mark not in line:
            kept.append((name, line))
            continue
        rest = []
        for part in line.split(b";"):
            if part.strip().startswith(mark):
                value = part.strip()[len(mark) :].decode("latin-1")
            elif part.strip():
                rest.append(part.strip())
        if rest:
            kept.append((name, b"; ".join(rest)))
    return kept, value
