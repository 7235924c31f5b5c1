"""What is known of a request target before anything of the request itself is looked at.

A plan is made once for each target and remembered, so a hit pays no routing, no sorting of the
query and no building of a key. The memory is bounded: it has a young and an old half, and when the
young one is full the old one is forgotten.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from .._types import Header, Scope
from ..config.policy import Policy
from ..events import Tally
from ..policy import key as keys
from ..policy.cookies import cookie_values, narrowed
from ..policy.reasons import Reason
from ..policy.request import Field, FieldLines
from ..policy.terms import Terms
from ..routing import Resolved
from ..selectors import is_short

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

PlanKey: TypeAlias = tuple[bytes | None, tuple[object, ...]]
"""What a plan is remembered by: texts of the request, and None where one is absent."""

_FRAMED = (None, "1.1", "1.0", "1")
"""Versions of HTTP in which a body is told by the fields of a request; None if none is given."""

_HARMLESS = frozenset({Field.CACHE_CONTROL, Field.PRAGMA})
_PERSONAL = frozenset({Field.AUTHORIZATION, Field.CREDENTIALS, Field.COOKIE})


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for every GET or HEAD of one target.

    Attributes:
        reason: Why no request of it meets the cache, or None.
        resolved: The route and its rule.
        policy: The rule's policy; meaningless with a reason.
        terms: What the HTTP rules are asked with.
        key: The primary key before what the rule adds from the request; "" with a reason.
        query: What the application is to see as the query string; None for the request's own.
        veil: Hides in keys what is somebody's own.
        tally: The route's counters.
        whole: `key` is the whole key of a request in which the scan found only what is in `plain`.
        instant: Besides, nothing needs to be waited for before such a request is answered.
        framed: The request's fields say whether it has a body: in HTTP/1, not in HTTP/2 and 3.
        origin: The scheme and the host as the key has it.
        plain: Fields that may stand in a request without making it special.
    """

    reason: Reason | None
    resolved: Resolved
    policy: Policy
    terms: Terms
    key: str
    query: bytes | None
    veil: keys.Veil
    tally: Tally
    whole: bool
    instant: bool
    framed: bool
    origin: tuple[str, bytes]
    plain: frozenset[Field]


def plan_for(
    scope: Scope,
    host: bytes | None,
    resolved: Resolved,
    tally: Tally,
    *,
    reason: Reason | None,
    policy: Policy,
    terms: Terms,
    version: str,
    max_url: int,
    veil: keys.Veil,
    positions: bool = False,
) -> Plan:
    """Make the plan of a target.

    Args:
        scope: A GET or HEAD request of it.
        host: Its Host as sent; None unless there is exactly one.
        resolved: The route and its rule.
        tally: The route's counters.
        reason: Why the rule keeps it from the cache, or None.
        policy: The rule's policy, or any.
        terms: The policy's terms within the cache's bounds.
        version: The application's release.
        max_url: Bytes of path and query at most.
        veil: Hides in keys what is somebody's own.
        positions: A cookie may carry a log position (see `position`), so none is overlooked.
    """
    raw_path, query = raw_target(scope)
    scheme = scope.get("scheme", "http")
    name = keys.host_of(host, scheme)
    if reason is None:
        if name is None:
            reason = Reason.HOST
        elif (
            len(raw_path) + len(query) > max_url
            or not keys.target_is_plain(raw_path, query)
            or not is_short(scope["path"])
        ):
            reason = Reason.TARGET
    if reason is not None or name is None:
        return Plan(
            reason,
            resolved,
            policy,
            terms,
            "",
            None,
            veil,
            tally,
            False,
            False,
            True,
            (scheme, b""),
            frozenset(),
        )
    narrowed = (
        None if policy.query is None else keys.canonical_query(query, frozenset(policy.query))
    )
    whole = not (policy.vary or policy.cookies or policy.vary_by or policy.when)
    framed = scope.get("http_version") in _FRAMED
    key = keys.primary_key(
        scheme=scheme,
        host=name,
        root_path=scope.get("root_path", ""),
        path=scope["path"],
        raw_path=raw_path,
        query=veil.query(query if narrowed is None else narrowed),
        version=version,
    )
    plain = _HARMLESS if not policy.honor_request_directives else frozenset()
    if policy.public:
        plain |= _PERSONAL
    if policy.ignore_cookies is True:
        plain |= {Field.COOKIE}
    if positions:
        plain -= {Field.COOKIE}
    return Plan(
        reason=None,
        resolved=resolved,
        policy=policy,
        terms=terms,
        key=key,
        query=narrowed,
        veil=veil,
        tally=tally,
        whole=whole,
        instant=whole and framed,
        framed=framed,
        origin=(scheme, name),
        plain=plain,
    )


def visible(policy: Policy, found: FieldLines) -> FieldLines:
    """What was found, with those cookies only that the application is to see."""
    if not policy.narrows_cookies:
        return found
    named = policy.cookies if policy.vary_by is None else ()
    return narrowed(found, named=named, ignored=policy.ignore_cookies)


def raw_target(scope: Scope) -> tuple[bytes, bytes]:
    """The path and query as sent; a server that gives no raw path gives the decoded one."""
    raw_path = scope.get("raw_path")
    if raw_path is None:
        raw_path = scope["path"].encode("utf-8", "surrogatepass")
    # Some servers leave the query in the raw path.
    return raw_path.partition(b"?")[0], scope.get("query_string", b"")


def target_of(scope: Scope) -> bytes:
    """The path and query as one text, as sent (RFC 9112 §3.2.1)."""
    raw_path, query = raw_target(scope)
    return raw_path + (b"?" + query if query else b"")


def request_key(
    plan: Plan, headers: Iterable[Header], found: FieldLines | None, partition: bytes | None
) -> str:
    """The primary key of one request: the target's, and what the rule adds from the request.

    Args:
        plan: The target's.
        headers: The request's field lines.
        found: What the scan found.
        partition: What the rule's `vary_by` has returned, as `partition_part` gives it.
    """
    policy, veil = plan.policy, plan.veil
    headers = list(headers)
    parts = [keys.field_part(headers, name, veil) for name in policy.vary]
    found = found or {}
    for cookie in policy.cookies:
        values = cookie_values(found.get(Field.COOKIE, ()), cookie)
        parts.append(b"cookie:%d:%b" % (len(values), cookie.encode("latin-1")))
        parts.extend(map(veil, values))
    if partition is not None:
        parts.append(b"partition:" + veil(partition))
    parts += keys.forwarded_parts(found.get(Field.FORWARDED, ()))
    if Field.ORIGIN in found:
        # Frameworks add CORS fields to the answers to these only, and not all of them say `Vary`.
        parts.append(b"cross-origin")
    if policy.lifetime is None and not (policy.public or policy.cookies or policy.vary_by):
        # Deliberate: RFC 9111 would share these, but what an application shows to a cookie is too
        # often its owner's, whatever its fields say. `public` or `cookies` share more.
        parts += [b"cookies:" + veil(line) for _, line in found.get(Field.COOKIE, ())]
    return keys.extended(plan.key, parts) if parts else plan.key


_PLAN_BYTES = 1300
"""Bytes that a plan takes beside the texts of its target: the resolved route, the key, its place
in the memory."""


def size_of_target(target: PlanKey) -> int:
    """Bytes that the plan of a target is accounted for; an estimate, on the high side."""
    host, rest = target
    texts = (text for text in (host, *rest) if isinstance(text, str | bytes))
    return _PLAN_BYTES + 2 * sum(map(len, texts))


class TwoGenerationCache(Generic[K, V]):
    """A bounded map that forgets its older half when it is full.

    Args:
        max_entries: Entries remembered at most.
        max_bytes: Bytes remembered at most, one entry's more.
        size_of: Bytes that a key counts for.
    """

    __slots__ = ("_bytes", "_max_bytes", "_max_entries", "_old", "_size_of", "young")

    def __init__(self, max_entries: int, max_bytes: int, size_of: Callable[[K], int]) -> None:
        self.young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._bytes = 0
        self._max_entries = max_entries // 2
        self._max_bytes = max_bytes // 2
        self._size_of = size_of

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def recall(self, key: K) -> V | None:
        """What is remembered, if it is in the old half; then it is young again."""
        value = self._old.pop(key, None)
        if value is not None:
            self.remember(key, value)
        return value

    def remember(self, key: K, value: V) -> None:
        """Remember a value."""
        size = self._size_of(key)
        if len(self.young) >= self._max_entries or self._bytes + size > self._max_bytes:
            self._old, self.young, self._bytes = self.young, {}, 0
        self.young[key] = value
        self._bytes += size

    def clear(self) -> None:
        """Forget everything."""
        self.young.clear()
        self._old.clear()
        self._bytes = 0
