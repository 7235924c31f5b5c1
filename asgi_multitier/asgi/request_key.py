"""The primary key of a request: the key of its target, and what its rule adds from the request."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from .._types import Header
from ..config.policy import Policy
from ..policy import key as keys
from ..policy.cookies import cookie_values, narrowed
from ..policy.request import Field, FieldLines
from .plan import Plan


def visible(policy: Policy, found: FieldLines) -> FieldLines:
    """What was found, with those cookies only that the application is to see."""
    if not policy.narrows_cookies:
        return found
    named = policy.cookies if policy.vary_by is None else ()
    return narrowed(found, named=named, ignored=policy.ignore_cookies)


def request_key(
    plan: Plan,
    headers: Iterable[Header],
    found: FieldLines | None,
    partition: bytes | None,
    content: bytes | None = None,
) -> str:
    """The primary key of one request: the target's, and what the rule adds from the request.

    Args:
        plan: The target's.
        headers: The request's field lines.
        found: What the scan found.
        partition: What the rule's `vary_by` has returned, as `partition_part` gives it.
        content: The method and the content, as `content_part` gives it; None for a GET.
    """
    policy, veil = plan.policy, plan.veil
    adds_fields = policy.vary or policy.cookies or policy.lifetime is None
    if not adds_fields and content is None and _FIELDS.isdisjoint(found or ()):
        if partition is None:
            return plan.key
        if _is_short(plan.key, partition):
            # The same users ask again and again.
            return _with_partition(plan.key, veil, partition)
    parts = [part for _, part in added_parts(plan, headers, found, partition, content)]
    return keys.extended(plan.key, parts) if parts else plan.key


def added_parts(
    plan: Plan,
    headers: Iterable[Header],
    found: FieldLines | None,
    partition: bytes | None,
    content: bytes | None = None,
) -> Iterator[tuple[str, bytes]]:
    """What the rule adds to the key from one request, each part with a name that tells no value.

    Args:
        plan, headers, found, partition, content: See `request_key`.
    """
    policy, veil = plan.policy, plan.veil
    headers = list(headers)
    for name in policy.vary:
        yield f"field:{name.decode('latin-1')}", keys.field_part(headers, name, veil)
    found = found or {}
    for cookie in policy.cookies:
        values = cookie_values(found.get(Field.COOKIE, ()), cookie)
        yield f"cookie:{cookie}", b"cookie:%d:%b" % (len(values), cookie.encode("latin-1"))
        for value in values:
            yield f"cookie:{cookie}", veil(value)
    if partition is not None:
        yield "partition", b"partition:" + veil(partition)
    if content is not None:
        yield "content", content
    for part in keys.forwarded_parts(found.get(Field.FORWARDED, ())):
        yield f"field:{part.partition(b'=')[0].decode('latin-1')}", part
    if Field.ORIGIN in found:
        # Frameworks add CORS fields to the answers to these only, and not all of them say `Vary`.
        yield "cross-origin", b"cross-origin"
    if policy.lifetime is None and not (policy.public or policy.cookies or policy.vary_by):
        # Deliberate: RFC 9111 would share these, but what an application shows to a cookie is too
        # often its owner's, whatever its fields say. `public` or `cookies` share more.
        for _, line in found.get(Field.COOKIE, ()):
            yield "cookies", b"cookies:" + veil(line)


_FIELDS = frozenset((Field.FORWARDED, Field.ORIGIN))
"""Fields that are in every key where a request has them."""

_LONGEST_REMEMBERED = 512
"""Bytes of the longest key and the longest partition whose key together is remembered."""


def _is_short(key: str, partition: bytes) -> bool:
    return len(key) <= _LONGEST_REMEMBERED and len(partition) <= _LONGEST_REMEMBERED


@lru_cache(4096)
def _with_partition(key: str, veil: keys.Veil, partition: bytes) -> str:
    return keys.extended(key, [b"partition:" + veil(partition)])
