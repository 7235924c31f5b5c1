"""What a request that is not plain selects: its stored response, and by what (RFC 9111 §4.1)."""

from dataclasses import dataclass
from typing import TypeAlias

Selecting: TypeAlias = tuple[object, ...]
"""The key of the target, and what of the fields counts: texts, and tuples of texts."""


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """What requests select that are alike.

    Attributes:
        key: The stored response's.
        primary: The key of the URL's marker, if it has several representations.
        fields: The request fields that choose among these.
        codings: Content codings that their answers may have, the preferred one first; see
            `Request.accepts`.
    """

    key: str
    primary: str | None = None
    fields: tuple[bytes, ...] = ()
    codings: tuple[bytes, ...] = ()
