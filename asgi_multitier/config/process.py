"""What a user may set: for responses (`Policy`, `Rule`) and for a process (`CacheConfig`).

All of it is checked once, when it is made, and frozen from then on. Friendly forms (a strategy, a
`timedelta`, header names as text) are turned into the one form that the rest of the package reads.
"""

import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, Unpack, cast, get_args
from urllib.parse import urlsplit
from uuid import UUID

from ..errors import ConfigError, InvalidationError
from ..policy.credentials import Credentials, folded
from ..policy.request import KNOWN_FIELDS, is_ignored
from ..policy.terms import Terms
from ..selectors import check_glob, glob_matches
from ..strategy import CacheStrategy, Lifetime, seconds_of
from .environment import read_dotenv
from .readers import (
    read_boolean,
    read_coalesce,
    read_field_names,
    read_function,
    read_ignored,
    read_methods,
    read_optional_names,
    read_optional_seconds,
    read_optional_share,
    read_optional_zero,
    read_seconds_or_boolean,
    read_share,
    read_stripped,
    read_template,
    read_texts,
    read_tokens,
    refuse_unknown,
)
from .templates import Template, Texts, TextsFunction, fields_of

Partition: TypeAlias = str | int | bytes | UUID | Enum | tuple[Any, ...] | None
"""What `vary_by` returns: whose copy this is, or None for "do not cache this request". A tuple has
such parts, with bool beside them."""

VaryBy: TypeAlias = Callable[[Any], Partition | Awaitable[Partition]]
When: TypeAlias = Callable[[Any], bool]
TextsOption: TypeAlias = str | TextsFunction | Sequence[str | TextsFunction] | AbstractSet[str]
Names: TypeAlias = str | Sequence[str] | AbstractSet[str]


_NEGOTIATION = b"accept"
"""How the fields of RFC 9110 §12.5 begin: what is wanted, not who wants it."""


Mode: TypeAlias = Literal["on", "off"]
"""Whether a process uses its cache."""


def read_mode(value: object, where: str) -> Mode:
    """Check a mode.

    Raises:
        ConfigError: If there is no such mode.
    """
    if value not in get_args(Mode):
        raise ConfigError.of("mode", value, "'on' or 'off'", where=where)
    return cast(Mode, value)


class PolicyOptions(TypedDict, total=False):
    """What `cached`, `Rule` and `Policy` take beside the lifetime; `Policy` has the meanings."""

    tags: TextsOption
    query: Names | None
    vary: Names
    vary_by: VaryBy | None
    cookies: Names
    ignore_cookies: bool | Names
    public: bool
    key: str | Template | None
    methods: Names
    negative: Lifetime | None
    client_cache: Lifetime | None
    stale_while_revalidate: Lifetime | None
    stale_if_error: Lifetime | None
    eager_refresh: float | None
    jitter: float
    coalesce: bool | Literal["fleet"]
    coalesce_timeout: Lifetime | None
    soft_timeout: Lifetime | None
    hard_timeout: Lifetime | None
    when: When | None
    heuristics: bool
    strip: Names
    store_set_cookie: bool
    honor_request_directives: bool
    stale_on_error: Lifetime | bool
    partial: bool
    normalise_language: bool
    targeted: Names


@dataclass(frozen=True, slots=True, init=False)
class Policy:
    """What a rule decides for the responses of a route.

    Attributes:
        lifetime: Seconds that a response stays fresh; None if its own headers decide.
        tags: Templates and functions of the request that name what the response is made of.
        query: Query parameters that the response depends on; None for all of them.
        vary: Request fields that it depends on, lower-case.
        vary_by: Takes the request, returns whose copy it is, or None to bypass; may be async, and
            else runs in the event loop, which it must not block. An exception bypasses too, unless
            the framework has an answer to it, as to an `HTTPException`.
        cookies: Cookies that it depends on.
        ignore_cookies: Cookies that the response does not depend on: True for all, or names, with a
            star at the end for all that begin so. They keep no request from the cache and are in no
            key, and a run whose answer may be shared does not see them.
        public: Whether everybody may have the same copy although the request says who asks. The
            answer to a request with `Authorization` is stored only if it says itself that it may be
            shared, by `public`, `must-revalidate` or `s-maxage` (RFC 9111 §3.5).
        key: A name for the response, by which `invalidate` finds it; what identifies it is still
            its URL and parameters.
        methods: GET, and HEAD unless it is the application's own, are answered from the cache. POST
            is not, and stands here only where the responses' own headers decide: see `from_origin`.
        negative: Seconds that a 404 or 410 stays fresh; None if they are not stored.
        client_cache: Seconds that clients are told; None if they are to ask each time.
        stale_while_revalidate: Seconds past freshness in which a copy is served while one
            background request renews it (RFC 5861 §3); None if only its own headers say so.
        stale_if_error: Seconds past freshness in which a copy stands in for a failing origin
            (RFC 5861 §4); None if only its own headers say so.
        eager_refresh: The share of the lifetime, between 0 and 1, past which a hit starts a
            background request; None for never.
        jitter: The share of the lifetime, from 0 to below 1, that is taken off at random at most,
            so that what was stored together does not expire together.
        coalesce: Whether identical requests share one call: in the process (True), in all
            processes (`"fleet"`), or not at all (False).
        coalesce_timeout: Seconds after which a call that takes so long is followed by one more, for
            all who wait; None for the cache's own setting.
        soft_timeout: Seconds after which a stale copy, if there is one, is served instead.
        hard_timeout: Seconds after which a call of the origin counts as failed.
        when: Takes the request; False bypasses the cache. Runs, and fails, as `vary_by` does.
        heuristics: Whether a response without explicit freshness may be stored (RFC 9111 §4.2.2).
        strip: Names of response fields that are not stored: the client whose request the
            application answered gets them, a hit does not have them.
        store_set_cookie: Whether a response with `Set-Cookie` may be stored.
        honor_request_directives: Whether the request's own `Cache-Control` counts.
        stale_on_error: Seconds past freshness in which a copy may stand in for a failing origin
            although its headers do not say so; True for a usual time, False for none.
        partial: Whether a part of a response (206) may be stored, to answer ranges within it and to
            be completed (RFC 9111 §3.3, §3.4).
        normalise_language: Whether requests that list the same languages in another order, without
            weights, get the same variant where responses vary on `Accept-Language`.
        targeted: Names of the targeted fields that are read (RFC 9213), strongest first.
    """

    lifetime: float | None
    tags: Texts = ()
    query: tuple[str, ...] | None = None
    vary: tuple[bytes, ...] = ()
    vary_by: VaryBy | None = None
    cookies: tuple[str, ...] = ()
    ignore_cookies: bool | tuple[str, ...] = False
    public: bool = False
    key: Template | None = None
    methods: frozenset[str] = frozenset({"GET", "HEAD"})
    negative: float | None = None
    client_cache: float | None = None
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None
    eager_refresh: float | None = None
    jitter: float = 0.0
    coalesce: bool | Literal["fleet"] = True
    coalesce_timeout: float | None = None
    soft_timeout: float | None = None
    hard_timeout: float | None = None
    when: When | None = None
    heuristics: bool = False
    strip: tuple[bytes, ...] = ()
    store_set_cookie: bool = False
    honor_request_directives: bool = False
    stale_on_error: float | bool = False
    partial: bool = False
    normalise_language: bool = False
    targeted: tuple[bytes, ...] = (b"cdn-cache-control",)
    terms: Terms = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        lifetime: Lifetime | None = CacheStrategy.DEFAULT,
        *,
        where: str = "Policy",
        **options: Unpack[PolicyOptions],
    ) -> None:
        """Check the options and bring them into one form.

        Args:
            lifetime: A strategy, seconds or a `timedelta`; None if the response's headers decide.
            where: The route or rule, for errors.
            **options: See the attributes; names may be one text or several, times as `lifetime`.

        Raises:
            ConfigError: If an option is unknown, its value is not allowed, or two contradict.
        """
        refuse_unknown(options, PolicyOptions.__annotations__, where=where)
        values: dict[str, Any] = {**_DEFAULTS, **options}
        values = {name: _READERS[name](values[name], name, where) for name in values}
        values["lifetime"] = read_optional_seconds(lifetime, "lifetime", where)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check_together(where)
        object.__setattr__(self, "terms", _terms_of(self))

    @classmethod
    def from_origin(cls, **options: Unpack[PolicyOptions]) -> "Policy":
        """Let each response's own headers decide (RFC 9111).

        Args:
            **options: As for `Policy`. What an API cache leaves off and a CDN may want:
                `heuristics`, `store_set_cookie`, `honor_request_directives`, `stale_on_error`,
                `partial`, `normalise_language`, and `methods` with POST: its answers are then kept
                for GET where they say that they may be (RFC 9110 §9.3.3).

        Raises:
            ConfigError: As for `Policy`.
        """
        return cls(None, where="Policy.from_origin", **options)

    def but(self, where: str, **options: Unpack[PolicyOptions]) -> "Policy":
        """This policy with some options changed."""
        if not options:
            return self
        present: Any = {name: getattr(self, name) for name in _READERS}
        return Policy(self.lifetime, where=where, **{**present, **options})

    @property
    def separates_users(self) -> bool:
        """Whether the rule says how it is safe that a hit runs no authentication.

        A field of content negotiation in `vary` says nothing about who asks, so it does not count.
        """
        who = any(not name.startswith(_NEGOTIATION) for name in self.vary)
        return self.public or who or bool(self.cookies) or self.vary_by is not None

    @property
    def template_fields(self) -> set[str]:
        """The parameters that its templates take."""
        return fields_of(self.tags) | set(self.key.fields if self.key else ())

    @property
    def narrows_cookies(self) -> bool:
        """Whether the application gets some of a request's cookies only."""
        named = bool(self.cookies) and self.vary_by is None
        return named or bool(self.ignore_cookies)

    @property
    def settled(self) -> tuple[bytes, ...]:
        """Request fields of which the application sees only what the key holds."""
        named = bool(self.cookies) and self.vary_by is None
        return (b"cookie",) if named or self.ignore_cookies is True else ()

    def _check_together(self, where: str) -> None:
        """Refuse options that cannot both be meant."""
        self._check_public(where)
        self._check_cookies(where)
        if self.heuristics and self.lifetime is not None:
            raise ConfigError.of("heuristics", True, "False where a lifetime is given", where=where)
        if self.partial and self.lifetime is not None:
            raise ConfigError.of("partial", True, "False where a lifetime is given", where=where)
        soft, hard = self.soft_timeout, self.hard_timeout
        if soft is not None and hard is not None and soft > hard:
            raise ConfigError.of(
                "soft_timeout", soft, f"at most hard_timeout={hard:g}", where=where
            )
        self._check_methods(where)

    def _check_public(self, where: str) -> None:
        """Refuse to call the same for everybody what another option separates by who asks."""
        if not self.public:
            return
        if self.vary_by is not None:
            allowed = "False where vary_by= gives each user a copy"
            raise ConfigError.of("public", True, allowed, where=where)
        if self.cookies:
            allowed = "False where cookies= gives each value a copy; other cookies keep nothing out"
            raise ConfigError.of("public", True, allowed, where=where)
        for name in (b"authorization", b"cookie"):
            if name in self.vary:
                allowed = f"False where vary= gives each {name.decode()} a copy"
                raise ConfigError.of("public", True, allowed, where=where)

    def _check_cookies(self, where: str) -> None:
        """Refuse to ignore cookies that another option says the response depends on."""
        ignored = self.ignore_cookies
        if ignored is True and (self.cookies or b"cookie" in self.vary):
            option = "cookies" if self.cookies else "vary"
            allowed = f"names of cookies, or nothing, where {option}= has cookies in the key"
            raise ConfigError.of("ignore_cookies", True, allowed, where=where)
        for name in self.cookies:
            if is_ignored(name.encode("latin-1"), ignored):
                allowed = f"none that cookies= names, as it does {name}"
                given = ignored if isinstance(ignored, bool) else list(ignored)
                raise ConfigError.of("ignore_cookies", given, allowed, where=where)

    def _check_methods(self, where: str) -> None:
        """Refuse methods that the cache would never answer or keep.

        A HEAD is answered from what a GET has brought, and the answer to a POST is kept for GET
        alone, where it says itself that it may be (RFC 9110 §9.3.3).
        """
        given = sorted(self.methods)
        if "GET" not in self.methods:
            allowed = "GET among them: all that is kept answers a GET"
            raise ConfigError.of("methods", given, allowed, where=where)
        if "POST" not in self.methods:
            return
        if self.lifetime is not None:
            allowed = "GET and HEAD where a lifetime is given; POST only in Policy.from_origin"
            raise ConfigError.of("methods", given, allowed, where=where)
        if self.vary_by is not None or self.when is not None:
            allowed = "GET and HEAD where vary_by= or when= is given: of a POST they are not asked"
            raise ConfigError.of("methods", given, allowed, where=where)


def _terms_of(policy: Policy) -> Terms:
    """What the HTTP rules are asked with: the part of a policy that is about HTTP."""
    return Terms(
        lifetime=policy.lifetime,
        negative=policy.negative,
        # Who asks is in the key: then the answer is as good for the same one's next request.
        authorized=policy.vary_by is not None or b"authorization" in policy.vary,
        strip=policy.strip,
        set_cookie=policy.store_set_cookie,
        heuristics=policy.heuristics,
        partial=policy.partial,
        post="POST" in policy.methods,
        honor_request_directives=policy.honor_request_directives,
        stale_on_error=policy.stale_on_error,
        client_cache=policy.client_cache,
        selecting=_selecting(policy),
        partitioned=_is_personal(policy, Credentials()),
        stale_while_revalidate=policy.stale_while_revalidate,
        stale_if_error=policy.stale_if_error,
        targeted=policy.targeted,
    )


def _is_personal(policy: Policy, credentials: Credentials) -> bool:
    """Whether what chooses the responses says who asks."""
    named = bool(policy.cookies) or policy.vary_by is not None
    return named or credentials.include_any(policy.vary)


def _selecting(policy: Policy) -> tuple[bytes, ...]:
    """The request fields that choose the responses, as clients are told.

    A request that says who asks has an answer of its own, which matters to those who keep answers
    without asking: `client_cache=`. What `vary_by=` reads is as good as always one of the two.
    """
    names = [*policy.vary]
    cookies, own = bool(policy.cookies), policy.vary_by is not None
    if own or (policy.client_cache and not policy.public):
        names.append(b"Authorization")
        cookies = cookies or own or policy.ignore_cookies is not True
    return (*names, b"Cookie") if cookies else tuple(names)


@dataclass(frozen=True, slots=True, init=False)
class Rule:
    """A policy for every path that a glob matches: for what cannot be annotated.

    Attributes:
        glob: A pattern of `*` (any run of characters, `/` included) and `?`, matched against the
            whole path as the application sees it.
        policy: What holds there; None if these paths are never cached.
    """

    glob: str
    policy: Policy | None

    def __init__(
        self,
        glob: str,
        strategy: Lifetime | Policy | None = CacheStrategy.DEFAULT,
        **options: Unpack[PolicyOptions],
    ) -> None:
        """Check the glob and the policy.

        Args:
            glob: Begins with `/` or `*`; at most 256 characters and 8 stars.
            strategy: A lifetime, a whole policy, or None for "never cache these".
            **options: As for `cached`.

        Raises:
            ConfigError: If the glob or an option is not allowed.
        """
        where = f"Rule({glob!r})"
        glob = str(glob)
        if not glob.startswith(("/", "*")):
            raise ConfigError.of("glob", glob, "a pattern that begins with '/' or '*'", where=where)
        try:
            check_glob(glob)
        except InvalidationError as error:
            raise ConfigError(f"{where}: {error}") from None
        if strategy is None and options:
            raise ConfigError.of(
                "strategy", None, "a lifetime or a Policy where options are given", where=where
            )
        object.__setattr__(self, "glob", glob)
        policy = None if strategy is None else policy_of(strategy, where=where, **options)
        object.__setattr__(self, "policy", policy)

    def matches(self, path: str) -> bool:
        """Whether the rule is for this path."""
        return glob_matches(self.glob, path)


@dataclass(frozen=True, slots=True)
class Invalidations:
    """What a successful unsafe request of a route drops, beside its own URL.

    Attributes:
        tags: Templates and functions of tags.
        paths: Templates and functions of paths, as the application sees them, every query string.
        routes: Names or endpoints of routes: all that they filled.
        patterns: Templates and functions of globs over paths and names.
        settle: Seconds for which what is dropped is not stored anew, for origins that read from a
            replica that may lag so long.
    """

    tags: Texts = ()
    paths: Texts = ()
    routes: tuple[str | Callable[..., Any], ...] = ()
    patterns: Texts = ()
    settle: float = 0.0

    @property
    def template_fields(self) -> set[str]:
        """The parameters that its templates take."""
        return fields_of(self.tags) | fields_of(self.paths) | fields_of(self.patterns)

    def __add__(self, other: "Invalidations") -> "Invalidations":
        return Invalidations(
            tags=self.tags + other.tags,
            paths=self.paths + other.paths,
            routes=self.routes + other.routes,
            patterns=self.patterns + other.patterns,
            settle=max(self.settle, other.settle),
        )


def policy_of(
    strategy: Lifetime | Policy, *, where: str, **options: Unpack[PolicyOptions]
) -> Policy:
    """The policy that a lifetime or a policy makes together with the options beside it.

    Raises:
        ConfigError: As `Policy`.
    """
    if isinstance(strategy, Policy):
        return strategy.but(where, **options)
    seconds = seconds_of(strategy, option="strategy", where=where)
    return Policy(seconds, where=where, **options)


_READERS: dict[str, Callable[[Any, str, str], Any]] = {
    "tags": read_texts,
    "query": read_optional_names,
    "vary": read_field_names,
    "vary_by": read_function,
    "cookies": read_tokens,
    "ignore_cookies": read_ignored,
    "public": read_boolean,
    "key": read_template,
    "methods": read_methods,
    "negative": read_optional_seconds,
    "client_cache": read_optional_zero,
    "stale_while_revalidate": read_optional_zero,
    "stale_if_error": read_optional_zero,
    "eager_refresh": read_optional_share,
    "jitter": read_share,
    "coalesce": read_coalesce,
    "coalesce_timeout": read_optional_seconds,
    "soft_timeout": read_optional_seconds,
    "hard_timeout": read_optional_seconds,
    "when": read_function,
    "heuristics": read_boolean,
    "strip": read_stripped,
    "store_set_cookie": read_boolean,
    "honor_request_directives": read_boolean,
    "stale_on_error": read_seconds_or_boolean,
    "partial": read_boolean,
    "normalise_language": read_boolean,
    "targeted": read_field_names,
}
_DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Policy) if f.name in _READERS}


# The process's own settings.

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379"

_PREFIX = "ASGI_MULTITIER_"
_NO_REDIS = "none"
_MIN_SECRET = 16


class Settings(TypedDict, total=False):
    """Attributes of `CacheConfig` as they may be given; it has the meanings."""

    redis_url: str | None
    namespace: str | None
    version: str
    secret: bytes | None
    max_entry: int
    header_block: int
    l1_bytes: int
    l1_entries: int
    max_variants: int
    max_url: int
    max_flights: int
    max_waiters: int
    overload: Literal["wait", "refuse"]
    max_refreshes: int
    coalesce_timeout: Lifetime
    redis_timeout: Lifetime
    breaker_failures: int
    breaker_reset: Lifetime
    hit_for_miss: Lifetime
    credential_headers: Names | AbstractSet[bytes]
    harmless_headers: Names | AbstractSet[bytes]
    mode: Mode
    debug: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """What holds for a process: where Redis is, and every bound.

    Attributes:
        redis_url: Where Redis is; None for memory only.
        namespace: What separates applications that share a Redis; None to derive it.
        version: A release's name; goes into the keys, so that a deploy never gets an old shape.
        secret: Keys the MAC over stored entries, at least 16 bytes; None for no MAC.
        max_entry: Bytes of the largest body that is stored.
        header_block: Bytes of the largest header block that is stored.
        l1_bytes: Bytes that the memory tier accounts for at most.
        l1_entries: Entries that it holds at most.
        max_variants: Variants of one URL that are kept.
        max_url: Bytes of the longest path and query that is cached.
        max_flights: Calls under way at once, beyond which one ends as soon as nobody waits for it.
        max_waiters: Requests that may wait for one of them where `overload` is `"refuse"`.
        overload: What becomes of a request beyond `max_waiters`: it waits as well (`"wait"`), or
            is answered 503 with `Retry-After` (`"refuse"`); a value's caller gets a `CacheError`.
        max_refreshes: Background calls at once, of responses and values together; while there are
            so many, further stale copies are served without one.
        coalesce_timeout: Seconds after which a call that takes so long is followed by one more,
            for all who wait.
        redis_timeout: Seconds that a request waits for Redis.
        breaker_failures: Failures in a row after which Redis is left alone.
        breaker_reset: Seconds until it is tried again.
        hit_for_miss: Seconds for which requests do not queue for a response that was not storable.
        credential_headers: Request fields that say who asks, beside those that are known by their
            names (see `policy.credentials`); lower-case.
        harmless_headers: Request fields that say nothing of it although their names look so;
            lower-case.
        mode: `"on"`, or `"off"`: every request and value goes to its origin, nothing is stored, and
            what changes is still told to the other instances. `CacheManager.mode` changes it while
            the process runs.
        debug: For development, never for production: every client may steer the cache by its own
            `Cache-Control` (RFC 9111 §5.2.1), so that a browser's hard reload asks the application.

    Raises:
        ConfigError: If a value is out of range.
    """

    redis_url: str | None = field(default=DEFAULT_REDIS_URL, repr=False)
    namespace: str | None = None
    version: str = ""
    secret: bytes | None = field(default=None, repr=False)
    max_entry: int = 1024 * 1024
    header_block: int = 16 * 1024
    l1_bytes: int = 64 * 1024 * 1024
    l1_entries: int = 200_000
    max_variants: int = 64
    max_url: int = 8 * 1024
    max_flights: int = 10_000
    max_waiters: int = 1_000
    overload: Literal["wait", "refuse"] = "wait"
    max_refreshes: int = 16
    coalesce_timeout: float = 5.0
    redis_timeout: float = 0.25
    breaker_failures: int = 3
    breaker_reset: float = 1.0
    hit_for_miss: float = 2.0
    credential_headers: frozenset[bytes] = frozenset()
    harmless_headers: frozenset[bytes] = frozenset()
    mode: Mode = "on"
    debug: bool = False

    def __post_init__(self) -> None:
        for option in _COUNTS:
            _check_count(option, getattr(self, option))
        for option in _TIMES:
            seconds = seconds_of(getattr(self, option), option=option, where="CacheConfig")
            object.__setattr__(self, option, seconds)
        if self.overload not in ("wait", "refuse"):
            allowed = "'wait' or 'refuse'"
            raise ConfigError.of("overload", self.overload, allowed, where="CacheConfig")
        _check_url(self.redis_url)
        _check_label("namespace", self.namespace)
        _check_label("version", self.version or None)
        _check_secret(self.secret)
        for option in _FIELD_NAMES:
            names = read_field_names(getattr(self, option), option, "CacheConfig")
            object.__setattr__(self, option, frozenset(names))
        self._check_fields()
        read_mode(self.mode, "CacheConfig")
        read_boolean(self.debug, "debug", "CacheConfig")

    def _check_fields(self) -> None:
        """Refuse to call harmless what is none, and what another setting calls a credential."""
        for name in sorted(self.harmless_headers):
            if name in KNOWN_FIELDS:
                allowed = "names of fields that only look like credentials; " + _INSTEAD.get(
                    name, "this one has a meaning of its own and stays what it is"
                )
                raise ConfigError.of(
                    "harmless_headers", name.decode(), allowed, where="CacheConfig"
                )
        added = frozenset(map(folded, self.credential_headers))
        for name in sorted(self.harmless_headers):
            if folded(name) in added:
                allowed = "names that are not in credential_headers="
                raise ConfigError.of(
                    "harmless_headers", name.decode(), allowed, where="CacheConfig"
                )

    @property
    def credentials(self) -> Credentials:
        """Which request fields say who asks."""
        added = frozenset(map(folded, self.credential_headers))
        return Credentials(added=added, harmless=self.harmless_headers)

    def applied(self, policy: Policy) -> Policy:
        """A policy as it holds in this process."""
        if not self.debug:
            return policy
        return policy.but("debug mode", honor_request_directives=True)

    def terms_of(self, policy: Policy) -> Terms:
        """The terms of a policy, within this process's bounds."""
        return replace(
            policy.terms,
            partitioned=_is_personal(policy, self.credentials),
            max_entry=self.max_entry,
            header_limit=self.header_block,
        )

    @classmethod
    def resolve(
        cls,
        *,
        environ: Mapping[str, str] | None = None,
        dotenv: str | os.PathLike[str] | None = ".env",
        **arguments: Unpack[Settings],
    ) -> "CacheConfig":
        """Gather the settings, strongest first: arguments, environment, `.env`, defaults.

        Every attribute `x` can be set as `ASGI_MULTITIER_X`; `REDIS_URL` stands for
        `ASGI_MULTITIER_REDIS_URL`, which is stronger within the same source. An empty value counts
        as not set, the Redis URL `none` as memory only, and names are separated by commas.

        Args:
            environ: The environment; `os.environ` if None.
            dotenv: A file of `NAME=value` lines, read where it exists; None for no file.
            **arguments: Attributes by name; one that is given counts, even if it is None.

        Raises:
            ConfigError: If a value is wrong or a name unknown, with the closest one that is not.
        """
        refuse_unknown(arguments, (f.name for f in fields(cls)), where="CacheConfig")
        found: dict[str, Any] = {}
        for source, settings in (
            (str(dotenv), read_dotenv(Path(dotenv)) if dotenv is not None else {}),
            ("environment", os.environ if environ is None else environ),
        ):
            found |= _settings(settings, source)
        found |= arguments
        return cls(**found)


_COUNTS = (
    "max_entry",
    "header_block",
    "l1_bytes",
    "l1_entries",
    "max_variants",
    "max_url",
    "max_flights",
    "max_waiters",
    "max_refreshes",
    "breaker_failures",
)
_FIELD_NAMES = ("credential_headers", "harmless_headers")
_INSTEAD = {
    b"authorization": "write public=True on the routes whose answers are the same for everybody",
    b"cookie": "write ignore_cookies=True on the routes whose answers do not depend on cookies",
}
"""What to write where a field cannot be called harmless."""

_TRUTHS = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip

_TIMES = ("coalesce_timeout", "redis_timeout", "breaker_reset", "hit_for_miss")


def _check_count(option: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError.of(option, value, "a whole number from 1", where="CacheConfig")


def _check_url(url: object) -> None:
    """The message leaves the value out: a URL may hold a password."""
    if url is None:
        return
    scheme = urlsplit(url).scheme if isinstance(url, str) else ""
    if scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(
            f"CacheConfig: redis_url with scheme {scheme!r} is not allowed; "
            "expected redis://, rediss://, unix:// or None"
        )


def _check_secret(secret: object) -> None:
    """The message leaves the value out."""
    if secret is not None and not (isinstance(secret, bytes) and len(secret) >= _MIN_SECRET):
        raise ConfigError(
            f"CacheConfig: secret is not allowed; expected at least {_MIN_SECRET} bytes"
        )


def _check_label(option: str, value: object) -> None:
    """Labels become part of keys in Redis: printable, without what separates the parts."""
    if value is not None and not (isinstance(value, str) and _LABEL.fullmatch(value)):
        raise ConfigError.of(
            option, value, "1 to 64 of letters, digits, '.', '_' and '-'", where="CacheConfig"
        )


_LABEL = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _settings(source: Mapping[str, str], place: str) -> dict[str, Any]:
    """The settings that a source of texts holds, in their types."""
    known = {_PREFIX + f.name.upper(): f.name for f in fields(CacheConfig)}
    ours = {name: value for name, value in source.items() if name.startswith(_PREFIX)}
    refuse_unknown(ours, known, where=place)
    found = {"redis_url": source["REDIS_URL"]} if "REDIS_URL" in source else {}
    found |= {
        known[name]: value for name, value in ours.items() if value or known[name] not in found
    }
    return {
        option: _typed(option, value, place) for option, value in found.items() if value.strip()
    }


def _typed(option: str, text: str, place: str) -> Any:
    """A setting's value from its text."""
    text = text.strip()
    if option == "redis_url":
        return None if text.lower() == _NO_REDIS else text
    if option == "secret":
        return text.encode()
    if option in _FIELD_NAMES:
        return frozenset(name.strip().encode() for name in text.split(",") if name.strip())
    if option == "debug":
        if text.lower() not in _TRUTHS:
            raise ConfigError.of(option, text, "1 or 0", where=place)
        return _TRUTHS[text.lower()]
    if option not in _COUNTS and option not in _TIMES:
        return text
    try:
        return int(text) if option in _COUNTS else float(text)
    except ValueError:
        raise ConfigError.of(option, text, "a number", where=place) from None
