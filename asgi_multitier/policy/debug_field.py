"""`Cache-Debug`, a dictionary of structured fields (RFC 9651 §3.2) on answers in debug mode."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import http_sf

from .._types import Header

NAME = b"cache-debug"


class Look(NamedTuple):
    """A look into one tier.

    Attributes:
        level: That of the tier.
        state: `fresh`, `stale`, `vary` (request fields choose among several), or `none`.
        seconds: How long it took; for shared tiers, together with those before it.
    """

    level: int
    state: str
    seconds: float


def debug_line(
    *,
    rule: str,
    route: str,
    key: str = "",
    age: int | None = None,
    born: str = "",
    tags: int | None = None,
    looks: Sequence[Look] = (),
) -> Header:
    """The field line.

    Args:
        rule: Why this rule holds, or none: `annotation`, `rule`, `default`, `no-rule` ...
        route: What the request is counted under.
        key: The digest of the last key that was looked for; "" if none was.
        age: Seconds since what was found was made; None if nothing was found.
        born: The position in the log at which its run began: a generation, and a record.
        tags: How many tags it carries.
        looks: The looks into tiers, in order.
    """
    told: dict[str, Any] = {"rule": http_sf.Token(rule), "route": _printable(route)}
    told |= {"key": key} if key else {}
    told |= {} if age is None else {"age": age}
    told |= {"born": born} if born else {}
    told |= {} if tags is None else {"tags": tags}
    if looks:
        told["look"] = ([_look(one) for one in looks], {})
    return NAME, http_sf.ser(told).encode("ascii")


def _look(look: Look) -> tuple[Any, dict[str, Any]]:
    took = Decimal(f"{look.seconds * 1e3:.3f}")
    return http_sf.Token(f"l{look.level}"), {"found": http_sf.Token(look.state), "ms": took}


def _printable(text: str) -> str:
    """Text as a string of structured fields can have it (RFC 9651 §3.3.3)."""
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
