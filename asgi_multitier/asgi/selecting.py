"""What of a request selects its stored response, besides its target: pure.

Two requests of one target for which this is equal get the same key from `request_key`, and the same
representation where the response has a `Vary`; and either both or neither are refused. So what was
found out about one of them holds for the other (RFC 9111 §4.1).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from .._types import Header
from ..config.policy import Policy
from ..policy.cookies import cookie_values, kept_cookies
from ..policy.key import forwarded_parts
from ..policy.request import Field, FieldLines
from .plan import Plan

Selecting: TypeAlias = tuple[object, ...]
"""The key of the target, and what of the fields counts: texts, and tuples of texts."""


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """What requests select that are alike.

    Attributes:
        key: The stored response's.
        primary: The key of the URL's marker, if it has several representations.
        fields: The request fields that choose among these.
    """

    key: str
    primary: str | None = None
    fields: tuple[bytes, ...] = ()


_COOKIE, _ORIGIN, _FORWARDED = Field.COOKIE, Field.ORIGIN, Field.FORWARDED
_CREDENTIALS = frozenset((Field.AUTHORIZATION, Field.CREDENTIALS))

_LONGEST_COOKIES = 2048
"""Bytes of the longest `Cookie` line whose parts are remembered."""


def selecting(
    plan: Plan, found: FieldLines | None, headers: Iterable[Header], partition: bytes | None
) -> Selecting | None:
    """What of a request selects its response; None if that cannot be said by its fields alone.

    A condition or a range chooses what is sent of a response, not the response.

    Args:
        plan: The target's; it is `prompt`.
        found: What the scan found in the request's fields.
        headers: The field lines, as sent.
        partition: What the rule's `vary_by` has returned, as `partition_part` gives it.
    """
    chosen: list[object] = [plan.key, partition]
    for field, lines in (found or {}).items():
        if field in plan.not_selecting:
            continue
        # With its meaning: a value of one field must not look like one of another.
        if field == _ORIGIN:
            chosen.append(field)  # that it is there is in the key, its value is not
        elif field == _FORWARDED:
            chosen.append((field, *forwarded_parts(lines)))
        elif field == _COOKIE and not plan.positions:
            chosen.append((field, _cookies(plan.policy, lines)))
        elif field in _CREDENTIALS and plan.policy.lifetime is not None:
            # Without a lifetime the stored response says whether it may be used (RFC 9111 §3.5).
            chosen.append((field, *lines) if partition is None else field)
        else:
            return None
    if plan.fields:
        fields = plan.fields
        chosen += [line for line in headers if line[0].lower() in fields]
    return tuple(chosen)


def _cookies(policy: Policy, lines: list[Header]) -> object:
    if not (policy.cookies or policy.ignore_cookies):
        return tuple(value for _, value in lines)
    ignored = policy.ignore_cookies
    if not isinstance(ignored, bool):
        ignored = tuple(ignored)
    if len(lines) == 1 and len(lines[0][1]) <= _LONGEST_COOKIES:
        return _cookies_of_line(policy.cookies, ignored, lines[0])
    return _cookies_of(policy.cookies, ignored, lines)


@lru_cache(1024)
def _cookies_of_line(
    named: tuple[str, ...], ignored: bool | tuple[str, ...], line: Header
) -> object:
    return _cookies_of(named, ignored, [line])


def _cookies_of(
    named: tuple[str, ...], ignored: bool | tuple[str, ...], lines: list[Header]
) -> object:
    if named:
        return tuple((name, *cookie_values(lines, name)) for name in named)
    return kept_cookies(lines, ignored=ignored)
