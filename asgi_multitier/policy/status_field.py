"""Reading `Cache-Status` (RFC 9211) from a response."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import http_sf

from . import cache_status as names
from .cache_status import Forward


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """What this cache says of one response.

    Attributes:
        text: Its member of the field as sent; "" if there is none.
        hit: Whether the response came from the cache.
        forward: Why the request went to the application; None on a hit.
        detail: The tier of a hit, or the reason; None if nothing is said.
        stored: Whether the application's response was stored.
        collapsed: Whether the response is that to another request.
        ttl: Seconds of freshness left, negative if stale; None if nothing is said.
    """

    text: str = ""
    hit: bool = False
    forward: str | None = None
    detail: str | None = None
    stored: bool = False
    collapsed: bool = False
    ttl: int | None = None
    others: tuple[str, ...] = field(default=(), repr=False)

    @property
    def may_be_shared(self) -> bool:
        """Whether other requests get this response, as far as its fields can say.

        Those of a response that is passed on before it is complete say neither yes nor no.
        """
        if self.hit or self.stored or self.collapsed:
            return True
        return self.is_undecided

    @property
    def is_undecided(self) -> bool:
        """Whether it was passed on before it was known whether it can be stored."""
        passes = self.forward is None or self.forward in (Forward.BYPASS, Forward.METHOD)
        return not (passes or self.detail or self.hit or self.stored)


def cache_status(response: Any) -> CacheStatus:
    """What this cache says of a response.

    Args:
        response: Of httpx, Starlette's `TestClient`, requests or any other client: an object with
            `headers`, which are a mapping or pairs of text or bytes; or the headers themselves.
    """
    lines = _lines(getattr(response, "headers", response))
    if not lines:
        return CacheStatus()
    try:
        members: Any = http_sf.parse(", ".join(lines).encode(), tltype="list")
    except http_sf.StructuredFieldError:
        return CacheStatus(text=", ".join(lines))
    for member in reversed(members):
        value, given = member
        if str(value) == names.CACHE.decode():
            return _read({name: _plain(one) for name, one in given.items()})
    return CacheStatus(others=tuple(lines))


def _lines(headers: Any) -> list[str]:
    name = names.NAME.decode()
    if hasattr(headers, "getlist"):  # of Starlette, whose `get` gives the first line alone
        return [_text(value) for value in headers.getlist(name)]
    if hasattr(headers, "get"):
        value = headers.get(name)
        return [_text(value)] if value else []
    pairs: Iterable[tuple[Any, Any]] = headers
    return [_text(value) for key, value in pairs if _text(key).lower() == name]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int) else str(value)


def _read(given: Mapping[str, Any]) -> CacheStatus:
    said = "; ".join(name if one is True else f"{name}={one}" for name, one in given.items())
    return CacheStatus(
        text=said,
        hit=given.get("hit") is True,
        forward=given.get("fwd"),
        detail=given.get("detail"),
        stored=given.get("stored") is True,
        collapsed=given.get("collapsed") is True,
        ttl=given.get("ttl"),
    )
