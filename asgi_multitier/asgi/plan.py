"""What is known of a request target before anything of the request itself is looked at.

A plan is made once for each target and remembered (see `kept_plan`), so a hit pays no routing, no
sorting of the query and no building of a key.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from inspect import iscoroutinefunction as is_async
from typing import Any, TypeAlias

import msgspec

from .._types import Scope
from ..config.policy import Policy
from ..config.process import CacheConfig
from ..events import Tally
from ..policy import key as keys
from ..policy.coding import ACCEPT_ENCODING
from ..policy.content import WITH_CONTENT
from ..policy.cookies import reader as cookie_reader
from ..policy.negotiation import Accepting, accepting
from ..policy.reasons import Reason
from ..policy.request import CHOICES, Field
from ..policy.terms import Terms
from ..routing import Resolved
from ..selectors import is_short

TARGET = ("raw_path", "query_string", "path", "root_path", "scheme", "http_version", "method")
"""Everything in a scope that names its target and how it is asked, besides the Host; some of it is
optional."""

PlanKey: TypeAlias = tuple[bytes | None, tuple[object, ...]]
"""What a plan is remembered by: texts of the request, and None where one is absent."""

_FRAMED = (None, "1.1", "1.0", "1")
"""Versions of HTTP in which the fields of a request show whether it has a body; None: not given."""

_UNRULED = Policy(keep="Cache-Tag")
"""What no rule is for goes out as the application sent it."""

_HARMLESS = frozenset({Field.CACHE_CONTROL, Field.PRAGMA})
_PERSONAL = frozenset({Field.AUTHORIZATION, Field.CREDENTIALS, Field.COOKIE})
_IN_KEY = frozenset({Field.FORWARDED, Field.ORIGIN})
"""What is part of a key where it stands in a request; behind a guard the key is made later."""

_MOST_RULED = 1_000
"""Policies and origins of which something is remembered; then all are forgotten."""

LONGEST_HOST = 255
"""Bytes of the longest host that is shared: names have no more (RFC 1035 §3.1)."""

_GUARDED_MARK = "\x00guarded"
"""In a key: what a guarded route stores is not found without its guard. What else is added to a key
begins with a length."""


@dataclass(slots=True, eq=False, kw_only=True)
class Plan:
    """What holds for every GET or HEAD of one target, or for every POST or QUERY with content.

    Attributes:
        reason: Why no request of it meets the cache, or None.
        beneath: Where that is `shadow`: why none would meet it otherwise, or None.
        resolved: The route and its rule.
        policy: The rule's policy; meaningless with a reason.
        terms: What the HTTP rules are asked with.
        key: The primary key before what the rule adds from the request; "" with a reason.
        query: What the application is to see as the query string; None for the request's own.
        veil: Hides in keys what belongs to one user.
        tally: The route's counters.
        whole: `key` is the whole key of a request in which the scan found only what is in `plain`.
        prompt: A request of it can be answered without waiting for anything, if its fields allow.
        alone: As `whole`; besides, no field is known to choose among several representations.
        direct: Such a request may go to its guard without waiting for anything: it is a guarded
            route's.
        framed: The request's fields say whether it has a body: in HTTP/1, not in HTTP/2 and 3.
        offers: Content codings that answers may be sent in, in the order of preference.
        offers_all: Whether they may be sent also to those whose requests identify the user.
        accepting: What requests accept of that, by their `Accept-Encoding`.
        by_coding: As `alone`, but that a content coding is chosen by `Accept-Encoding`.
        origin: The scheme and the host as the key has it.
        plain: Fields that may stand in a request without making it special.
        not_selecting: The same, and those which choose what is sent of a response, but no response.
        vary_by: The rule's, where it is asked before the general way; None if there is none.
        separated: The rule itself says whose copy a request gets, or that all get the same.
        read_cookies: What of a `Cookie` line selects the response; None if all of it does.
        positions: A cookie may carry a log position (see `read_your_writes`).
        fields: Lower-case names of request fields that choose the response, by the rule or by the
            `Vary` of a response: all that were seen so far.
    """

    reason: Reason | None
    beneath: Reason | None = None
    vary_by: Callable[[Any], Any] | None = None
    prompt: bool = False
    alone: bool = False
    key: str = ""
    plain: frozenset[Field] = frozenset()
    terms: Terms
    tally: Tally
    separated: bool = False
    not_selecting: frozenset[Field] = CHOICES
    fields: frozenset[bytes] = frozenset()
    read_cookies: Callable[[bytes], object] | None = None
    resolved: Resolved
    policy: Policy
    veil: keys.Veil
    origin: tuple[str, bytes]
    query: bytes | None = None
    whole: bool = False
    direct: bool = False
    framed: bool = True
    offers: tuple[bytes, ...] = ()
    offers_all: bool = False
    accepting: Accepting = field(default_factory=partial(accepting, ()))
    by_coding: bool = False
    positions: bool = False


class Ruled(msgspec.Struct, frozen=True):
    """What holds for all targets of a rule: made once, so that their plans share it.

    Attributes:
        config: The bounds that it was made with.
        resolved: The rule's policy, as the route has it.
        policy: The same, as this process applies it.
        terms: What the HTTP rules are asked with.
        plain, not_selecting, fields, read_cookies: See `Plan`.
    """

    config: CacheConfig
    resolved: Policy
    policy: Policy
    terms: Terms
    plain: frozenset[Field]
    not_selecting: frozenset[Field]
    fields: frozenset[bytes]
    read_cookies: Callable[[bytes], object] | None


class RuledMemory:
    """Remembers what was made of each policy: a few for each application.

    Args:
        positions: A cookie may carry a log position (see `read_your_writes`), so none is ignored.
    """

    __slots__ = ("_known", "_origins", "positions")

    def __init__(self, *, positions: bool = False) -> None:
        self.positions: bool = positions
        self._known: dict[int, Ruled] = {}
        self._origins: dict[tuple[str, bytes], tuple[str, bytes]] = {}

    def of(self, resolved: Policy, config: CacheConfig) -> Ruled:
        """What holds for all targets of this policy."""
        known = self._known.get(id(resolved))
        if known is not None and known.resolved is resolved and known.config is config:
            return known
        if len(self._known) >= _MOST_RULED:
            self._known.clear()
        policy = config.applied(resolved)
        terms = config.terms_of(policy)
        plain = _plain(policy, positions=self.positions)
        made = Ruled(
            config,
            resolved,
            policy,
            terms,
            plain,
            plain | CHOICES,
            frozenset((*policy.vary, *((ACCEPT_ENCODING,) if terms.codings else ()))),
            _reader_of(policy),
        )
        self._known[id(resolved)] = made
        return made

    def origin(self, scheme: str, host: bytes) -> tuple[str, bytes]:
        """The scheme and the host, as one object for all targets."""
        origin = (scheme, host)
        if len(host) > LONGEST_HOST:
            return origin
        if (known := self._origins.get(origin)) is not None:
            return known
        if len(self._origins) >= _MOST_RULED:
            self._origins.clear()
        self._origins[origin] = origin
        return origin


def _plain(policy: Policy, *, positions: bool) -> frozenset[Field]:
    """The fields that may stand in a request without making it special."""
    plain = _HARMLESS if not policy.honor_request_directives else frozenset()
    if policy.public or policy.guarded:
        plain |= _PERSONAL
    if policy.guarded:
        plain |= _IN_KEY
    if policy.ignore_cookies is True:
        plain |= {Field.COOKIE}
    return plain - {Field.COOKIE} if positions else plain


def _reader_of(policy: Policy) -> Callable[[bytes], object] | None:
    named, ignored = policy.cookies, policy.ignore_cookies
    return cookie_reader(named, ignored) if named or ignored else None


def plan_for(
    scope: Scope,
    host: bytes | None,
    resolved: Resolved,
    tally: Tally,
    config: CacheConfig,
    veil: keys.Veil,
    *,
    reason: Reason | None,
    ruled: RuledMemory | None = None,
) -> Plan:
    """Make the plan of a target.

    Args:
        scope: A request of it.
        host: Its Host as sent; None unless there is exactly one.
        resolved: The route and its rule.
        tally: The route's counters.
        config: The bounds.
        veil: Hides in keys what belongs to one user.
        reason: Why the rule keeps it from the cache, or None.
        ruled: Remembers what was made of each policy; None remembers nothing.
    """
    ruled = ruled or RuledMemory()
    rule = ruled.of(resolved.policy or _UNRULED, config)
    policy, terms = rule.policy, rule.terms
    raw_path, query = raw_target(scope)
    scheme = scope.get("scheme", "http")
    name = keys.host_of(host, scheme)
    if reason is None:
        if name is None:
            reason = Reason.HOST
        elif (
            len(raw_path) + len(query) > config.max_url
            or not keys.target_is_plain(raw_path, query)
            or not is_short(scope["path"])
        ):
            reason = Reason.TARGET
    if reason is not None or name is None:
        return Plan(
            reason=reason,
            resolved=resolved,
            policy=policy,
            terms=terms,
            veil=veil,
            tally=tally,
            origin=ruled.origin(scheme, b""),
        )
    narrowed = (
        None if policy.query is None else keys.canonical_query(query, frozenset(policy.query))
    )
    whole = not (policy.vary or policy.cookies or policy.vary_by or policy.when)
    framed = scope.get("http_version") in _FRAMED
    prompt = framed and not callable(policy.enabled)
    # In debug mode each request goes the way on which it is noted where it looks.
    is_prompt = prompt and not config.debug and _is_prompt(policy)
    asks = policy.vary_by
    key = keys.primary_key(
        scheme=scheme,
        host=name,
        root_path=scope.get("root_path", ""),
        path=scope["path"],
        raw_path=raw_path,
        query=veil.query(query if narrowed is None else narrowed),
        version=config.version,
    )
    if policy.guarded:
        key += _GUARDED_MARK
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
        prompt=is_prompt,
        alone=whole and not terms.codings,
        direct=(
            prompt
            and bool(policy.guarded)
            and scope["method"] not in WITH_CONTENT
            and not (policy.vary or policy.when)
        ),
        framed=framed,
        offers=terms.codings,
        accepting=accepting(terms.codings),
        by_coding=whole and bool(terms.codings),
        # Where an annotation decides, what identifies the user has been dealt with.
        offers_all=policy.lifetime is not None or policy.public or policy.compress_personal,
        origin=ruled.origin(scheme, name),
        plain=rule.plain,
        not_selecting=rule.not_selecting,
        vary_by=asks if is_prompt and callable(asks) else None,
        separated=policy.public or bool(policy.guarded) or policy.vary_by is not None,
        positions=ruled.positions,
        fields=rule.fields,
        read_cookies=rule.read_cookies,
    )


def _is_prompt(policy: Policy) -> bool:
    """Whether a rule lets a request be answered without waiting, and by its fields as they are."""
    if policy.guarded or policy.when or any(b"_" in name for name in policy.vary):
        return False  # a name with an underscore is compared with all others of the request
    vary_by = policy.vary_by
    return vary_by is None or not (is_async(vary_by) or is_async(type(vary_by).__call__))


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


_PLAN_BYTES = 450
"""Bytes that a plan takes besides the texts of its target: its parameters, the key, its place in
the memory."""


def size_of_target(target: PlanKey) -> int:
    """Bytes that the plan of a target is accounted for; an estimate, on the high side."""
    host, rest = target
    texts = (text for text in (host, *rest) if isinstance(text, str | bytes))
    return _PLAN_BYTES + 2 * sum(map(len, texts))
