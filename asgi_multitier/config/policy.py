"""Policy: what holds for the responses of a route, checked once and immutable.

Convenient forms (a strategy, a `timedelta`, header names as text) are converted to the one form
that the rest of the package reads.
"""

from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from enum import Enum
from types import SimpleNamespace
from typing import Annotated, Any, Literal, TypeAlias, TypedDict, Unpack, get_type_hints
from uuid import UUID

from ..policy.content import WITH_CONTENT
from ..policy.credentials import Credentials
from ..policy.terms import Terms
from ..strategy import CacheStrategy, Lifetime, seconds_of
from . import readers
from .contradictions import MAX_BODY, check_together
from .response_tags import read_tags_from
from .templates import Template, Texts, TextsFunction

Partition: TypeAlias = str | int | bytes | UUID | Enum | tuple[Any, ...] | None
"""What `vary_by` returns: the user or tenant of the copy, or None for "do not cache this request".
A tuple has parts of these types, or of bool."""

VaryBy: TypeAlias = Callable[[Any], Partition | Awaitable[Partition]]
When: TypeAlias = Callable[[Any], bool]
Validator: TypeAlias = Callable[[Any], Partition | Awaitable[Partition]]
Enabled: TypeAlias = Callable[[], bool]
TextsOption: TypeAlias = str | TextsFunction | Sequence[str | TextsFunction] | AbstractSet[str]
Names: TypeAlias = str | Sequence[str] | AbstractSet[str]


_NEGOTIATION = b"accept"
"""How the fields of RFC 9110 §12.5 begin: they select content and do not identify the user."""


class PolicyOptions(TypedDict, total=False):
    """Options of `cached`, `Rule` and `Policy` besides the lifetime; `Policy` has the meanings."""

    tags: TextsOption
    tags_from: TextsOption
    query: Names | None
    vary: Names
    vary_by: VaryBy | str | Template | None
    guarded: bool | Literal["shared"]
    cookies: Names
    ignore_cookies: bool | Names
    public: bool
    key: str | Template | None
    methods: Names
    body: bool | Literal["json"]
    max_body: int
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
    validator: Validator | None
    when: When | None
    enabled: bool | Enabled
    shadow: bool
    heuristics: bool
    strip: Names
    keep: Names
    store_set_cookie: bool
    honor_request_directives: bool
    stale_on_error: Lifetime | bool
    partial: bool
    normalise_language: bool
    targeted: Names
    compress: bool | Names
    compress_personal: bool
    lint_ignore: Names


@dataclass(frozen=True, slots=True, init=False)
class Policy:
    """What a rule decides for the responses of a route.

    Attributes:
        lifetime: Seconds that a response stays fresh; None if its own headers decide.
        tags: Templates and functions of the request that name the data in the response.
        tags_from: Templates over the members of a JSON response, as `"author:{author.id}"`, and
            functions that take the response (`status`, `headers`, `body`, `json()`) and return
            texts: further tags. A response that they do not fit is not stored.
        query: Query parameters that the response depends on; None for all of them.
        vary: Request fields that it depends on, lower-case.
        vary_by: Takes the request and returns a user or tenant id, or None to bypass; may be async.
            A sync one runs in the event loop, which it must not block. An exception bypasses too,
            unless the framework turns it into a response, as it does an `HTTPException`. On a
            guarded route it may be a template over the endpoint's arguments, such as
            `"{user.id}"`, and a callable gets the request as the dependencies have left it.
        guarded: Whether the framework checks every request, hits included, and only the endpoint is
            skipped: dependencies, security schemes and decorators run first. True where the
            endpoint takes nothing from them, or together with `vary_by`; `"shared"` where all whom
            they let in get the same.
        cookies: Cookies that it depends on.
        ignore_cookies: Cookies that the response does not depend on: True for all, or names, with a
            star at the end for a prefix. They are in no key, no request bypasses the cache because
            of them, and the application does not see them where its response may be shared.
        public: Whether all users may get the same copy although the request identifies one. The
            response to a request with `Authorization` is stored only if it says itself that it may
            be shared, by `public`, `must-revalidate` or `s-maxage` (RFC 9111 §3.5).
        key: A name for the response, by which `invalidate` finds it; its URL and parameters still
            identify it.
        methods: GET, and HEAD where the application has no endpoint of its own for it, are answered
            from the cache; POST and QUERY with `body`. In `from_origin`, POST without `body` has
            another meaning: its response is stored for GET where it allows that.
        body: Whether POST and QUERY ask for something that their content names, such as a search:
            method, content and the fields that describe it are then part of the key, and such a
            POST invalidates nothing. True for content with the same bytes, `"json"` for JSON
            texts with the same meaning. The rule's callables find the content in `request.body`.
            Where `when` says no to a POST, it counts as a change like any other.
        max_body: Bytes of content that are read at most. A request with more bypasses the cache:
            the application gets all of it as it comes.
        negative: Seconds that a 404 or 410 stays fresh; None if they are not stored.
        client_cache: Seconds for which clients may reuse it; None if they are to validate each
            time.
        stale_while_revalidate: Seconds past freshness in which a copy is served while one
            background request renews it (RFC 5861 §3); None if its own headers decide.
        stale_if_error: Seconds past freshness in which a copy is served in place of a failing
            origin's response (RFC 5861 §4); None if its own headers decide.
        eager_refresh: The share of the lifetime, between 0 and 1, past which a hit starts a
            background request; None for never.
        jitter: The largest share of the lifetime, from 0 to below 1, that is subtracted at random,
            so that what was stored at the same time does not expire at the same time.
        coalesce: Whether identical requests share one call: in the process (True), in all
            processes (`"fleet"`), or not at all (False).
        coalesce_timeout: Seconds after which a second call is made for all waiting requests; None
            for the setting of `CacheConfig`.
        soft_timeout: Seconds after which a stale copy, if there is one, is served instead.
        hard_timeout: Seconds after which a call of the application counts as failed.
        validator: Takes the request and returns the version of the data that the response is made
            of, of the types that `vary_by` may return, or None if it does not know; may be async.
            It is asked when a stored response is past its lifetime: if the version is the one that
            was read before the response was made, the response is fresh for another lifetime, and
            the application is not asked. An exception counts as None.
        when: Takes the request; False bypasses the cache. It runs, and may fail, as `vary_by` does.
            See `body` for what it decides about a POST.
        enabled: False leaves everything to the application. A plain function without arguments is
            asked on every request, so the route can be switched while the process runs; it must
            not block, and an exception counts as False.
        shadow: Whether the application answers every request unchanged, and it is only compared
            what the cache would have answered: as `CacheConfig.mode="shadow"`, for these routes.
        heuristics: Whether a response without explicit freshness may be stored (RFC 9111 §4.2.2).
        strip: Names of response fields that are not stored: the client whose request reached the
            application gets them, a hit does not.
        keep: Names of response fields that are for one client by their names, and here are not:
            hits have them too. `Cache-Tag` among them is sent on, for a CDN.
        store_set_cookie: Whether a response with `Set-Cookie` may be stored.
        honor_request_directives: Whether the request's own `Cache-Control` counts.
        stale_on_error: Seconds past freshness in which a copy is served in place of a failing
            origin's response although its headers do not allow it; True for 3,600, False for none.
        partial: Whether a part of a response (206) may be stored, to answer ranges within it and to
            be completed (RFC 9111 §3.3, §3.4).
        normalise_language: Whether requests that list the same languages in another order, without
            weights, get the same variant where responses vary on `Accept-Language`.
        targeted: Names of the targeted fields that are read (RFC 9213), the first valid one counts.
        compress: Whether stored responses are compressed, once and in the background, for clients
            that accept it: True for zstd, br and gzip, or their names, the preferred one first.
            zstd and br need the extra `compression`. A guarded route is compressed only if its own
            annotation says so: not because of a rule, a default, or a policy for several routes.
        compress_personal: Whether `compress` is also for responses that belong to one user. The
            length of a compressed response tells something about its content to those who see the
            traffic and can add something of their own to it (BREACH): so neither this nor the
            `compress` of a guarded route is for a response that has both a secret and a text that
            its client chooses.
        lint_ignore: Codes of findings that a lint of the routes leaves out here, such as `"W3"`.
    """

    lifetime: float | None
    tags: Annotated[Texts, readers.read_texts] = ()
    tags_from: Annotated[Texts, read_tags_from] = ()
    query: Annotated[tuple[str, ...] | None, readers.read_optional_names] = None
    vary: Annotated[tuple[bytes, ...], readers.read_field_names] = ()
    vary_by: Annotated[VaryBy | Template | None, readers.read_partition] = None
    guarded: Annotated[bool | Literal["shared"], readers.read_guarded] = False
    cookies: Annotated[tuple[str, ...], readers.read_tokens] = ()
    ignore_cookies: Annotated[bool | tuple[str, ...], readers.read_ignored] = False
    public: Annotated[bool, readers.read_boolean] = False
    key: Annotated[Template | None, readers.read_template] = None
    methods: Annotated[frozenset[str], readers.read_methods] = frozenset({"GET", "HEAD"})
    body: Annotated[bool | Literal["json"], readers.read_body] = False
    max_body: Annotated[int, readers.read_bytes] = MAX_BODY
    negative: Annotated[float | None, readers.read_optional_seconds] = None
    client_cache: Annotated[float | None, readers.read_optional_zero] = None
    stale_while_revalidate: Annotated[float | None, readers.read_optional_zero] = None
    stale_if_error: Annotated[float | None, readers.read_optional_zero] = None
    eager_refresh: Annotated[float | None, readers.read_optional_share] = None
    jitter: Annotated[float, readers.read_share] = 0.0
    coalesce: Annotated[bool | Literal["fleet"], readers.read_coalesce] = True
    coalesce_timeout: Annotated[float | None, readers.read_optional_seconds] = None
    soft_timeout: Annotated[float | None, readers.read_optional_seconds] = None
    hard_timeout: Annotated[float | None, readers.read_optional_seconds] = None
    validator: Annotated[Validator | None, readers.read_function] = None
    when: Annotated[When | None, readers.read_function] = None
    enabled: Annotated[bool | Enabled, readers.read_enabled] = True
    shadow: Annotated[bool, readers.read_boolean] = False
    heuristics: Annotated[bool, readers.read_boolean] = False
    strip: Annotated[tuple[bytes, ...], readers.read_stripped] = ()
    keep: Annotated[tuple[bytes, ...], readers.read_kept] = ()
    store_set_cookie: Annotated[bool, readers.read_boolean] = False
    honor_request_directives: Annotated[bool, readers.read_boolean] = False
    stale_on_error: Annotated[float | bool, readers.read_seconds_or_boolean] = False
    partial: Annotated[bool, readers.read_boolean] = False
    normalise_language: Annotated[bool, readers.read_boolean] = False
    targeted: Annotated[tuple[bytes, ...], readers.read_field_names] = (b"cdn-cache-control",)
    compress: Annotated[tuple[bytes, ...], readers.read_codings] = ()
    compress_personal: Annotated[bool, readers.read_boolean] = False
    lint_ignore: Annotated[tuple[str, ...], readers.read_codes] = ()
    terms: Terms = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        lifetime: Lifetime | None = CacheStrategy.DEFAULT,
        *,
        where: str = "Policy",
        **options: Unpack[PolicyOptions],
    ) -> None:
        """Check the options and convert them to one form.

        Args:
            lifetime: A strategy, seconds or a `timedelta`; None if the response's headers decide.
            where: The route or rule, for errors.
            **options: See the attributes; names may be one text or several, times as `lifetime`.

        Raises:
            ConfigError: If an option is unknown, its value is not allowed, or two contradict each
                other.
        """
        readers.refuse_unknown(options, PolicyOptions.__annotations__, where=where)
        values: dict[str, Any] = {**_DEFAULTS, **options}
        values = {name: _READERS[name](values[name], name, where) for name in values}
        values["lifetime"] = readers.read_optional_seconds(lifetime, "lifetime", where)
        check_together(SimpleNamespace(**values), where)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "terms", _terms_of(self))

    def __repr__(self) -> str:
        given = [name for name in _DEFAULTS if getattr(self, name) != _DEFAULTS[name]]
        told = "".join(f", {name}={getattr(self, name)!r}" for name in given)
        return f"Policy({self.lifetime!r}{told})"

    @classmethod
    def from_origin(cls, **options: Unpack[PolicyOptions]) -> "Policy":
        """Let each response's own headers decide (RFC 9111).

        Args:
            **options: As for `Policy`. What a CDN may want and an API cache may not:
                `heuristics`, `store_set_cookie`, `honor_request_directives`, `stale_on_error`,
                `partial`, `normalise_language`, and `methods` with POST and without `body`: its
                responses are then stored for GET where they allow it (RFC 9110 §9.3.3).

        Raises:
            ConfigError: As for `Policy`.
        """
        return cls(None, where="Policy.from_origin", **options)

    def but(self, where: str, **options: Unpack[PolicyOptions]) -> "Policy":
        """This policy with some options changed.

        Where it becomes guarded, `compress` has to be among them: a policy for several routes does
        not ask to compress what a guard lets out.
        """
        if not options:
            return self
        present: Any = {name: getattr(self, name) for name in _READERS}
        if options.get("guarded") and not self.guarded:
            present |= {"compress": (), "compress_personal": False}
        return Policy(self.lifetime, where=where, **{**present, **options})

    @property
    def answered(self) -> frozenset[str]:
        """Methods of requests that may be answered from the cache.

        A POST whose response is stored for GET is not.
        """
        return self.methods if self.body else self.methods - WITH_CONTENT

    @property
    def separates_users(self) -> bool:
        """Whether the rule says why it is safe that a hit runs no authentication.

        A field of content negotiation in `vary` does not identify the user, so it does not count.
        """
        identifying = any(not name.startswith(_NEGOTIATION) for name in self.vary)
        separated = bool(self.cookies or self.guarded) or self.vary_by is not None
        return self.public or identifying or separated

    @property
    def narrows_cookies(self) -> bool:
        """Whether the application gets only some of a request's cookies.

        A guard gets all of them.
        """
        if self.guarded:
            return False
        named = bool(self.cookies) and self.vary_by is None
        return named or bool(self.ignore_cookies)

    @property
    def settled(self) -> tuple[bytes, ...]:
        """Request fields of which the application sees only what the key contains."""
        if self.guarded:
            return ()
        named = bool(self.cookies) and self.vary_by is None
        return (b"cookie",) if named or self.ignore_cookies is True else ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names in the templates of `tags` and `key`."""
        texts = (*self.tags, *(() if self.key is None else (self.key,)))
        return tuple(name for text in texts if isinstance(text, Template) for name in text.fields)


def _terms_of(policy: Policy) -> Terms:
    """The part of a policy that the HTTP rules need."""
    return Terms(
        lifetime=policy.lifetime,
        negative=policy.negative,
        # The user is in the key: then the response is right for the same user's next request.
        authorized=(
            bool(policy.guarded) or policy.vary_by is not None or b"authorization" in policy.vary
        ),
        strip=policy.strip,
        keep=policy.keep,
        set_cookie=policy.store_set_cookie,
        heuristics=policy.heuristics,
        partial=policy.partial,
        post="POST" in policy.methods and not policy.body,
        body=bool(policy.body),
        honor_request_directives=policy.honor_request_directives,
        stale_on_error=policy.stale_on_error,
        client_cache=policy.client_cache,
        selecting=_selecting(policy),
        partitioned=is_personal(policy, Credentials()),
        stale_while_revalidate=policy.stale_while_revalidate,
        stale_if_error=policy.stale_if_error,
        targeted=policy.targeted,
        codings=policy.compress,
    )


def is_personal(policy: Policy, credentials: Credentials) -> bool:
    """Whether what chooses the responses identifies the user."""
    named = bool(policy.cookies) or policy.vary_by is not None
    return named or bool(policy.guarded) or credentials.include_any(policy.vary)


def _selecting(policy: Policy) -> tuple[bytes, ...]:
    """The request fields that choose the responses, as clients are told.

    A request that identifies the user has a response of its own, which matters to clients that
    reuse responses without validation: `client_cache=`. What `vary_by=` reads is almost always in
    one of the two fields.
    """
    names = [*policy.vary]
    cookies, own = bool(policy.cookies), policy.vary_by is not None and not policy.guarded
    if own or (policy.client_cache and not policy.public):
        names.append(b"Authorization")
        cookies = cookies or own or policy.ignore_cookies is not True
    return (*names, b"Cookie") if cookies else tuple(names)


def policy_of(
    strategy: Lifetime | Policy, *, where: str, **options: Unpack[PolicyOptions]
) -> Policy:
    """The policy that a lifetime or a policy makes together with further options.

    Raises:
        ConfigError: As `Policy`.
    """
    if isinstance(strategy, Policy):
        return strategy.but(where, **options)
    seconds = seconds_of(strategy, option="strategy", where=where)
    return Policy(seconds, where=where, **options)


# The annotation of each option names the reader that checks what is given for it.
_READERS: dict[str, Callable[[Any, str, str], Any]] = {
    name: annotation.__metadata__[0]
    for name, annotation in get_type_hints(Policy, include_extras=True).items()
    if hasattr(annotation, "__metadata__")
}
_DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Policy) if f.name in _READERS}
