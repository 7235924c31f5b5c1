"""A request that its rule lets meet the cache, with what the cache has found out about it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from .._types import ASGIApp, Headers, Scope
from ..coherence.index import Index
from ..config.policy import Policy
from ..entry import Born, Slot, StoredResponse
from ..policy.cache_control import CacheControl, of_request
from ..policy.content import content_part
from ..policy.cookies import with_cookies_of
from ..policy.downstream import told
from ..policy.headers import normalised
from ..policy.negotiation import accept_encoding_of, accepted
from ..policy.reasons import Reason
from ..policy.request import Field, FieldLines, choosing_fields, may_be_encoded
from ..policy.storing import may_answer_authorized
from ..policy.vary import secondary_key
from ..routing import RouteTable
from .framework import request_of
from .plan import Plan

_NOTHING: Mapping[str, Any] = MappingProxyType({})

VARIANT_MARK = "\x01"
"""In a key, between what names the URL and what chooses its representation."""

_AUTHORIZED_MARK = "\x02"
"""After a key, where it is remembered that answers to `Authorization` are not shared."""

HEAD_MARK = "\x03"
"""After a key, where HEADs wait for the application's answer to one of them."""


def chosen_by(policy: Policy, found: FieldLines) -> tuple[bytes, ...]:
    """Fields that choose a response although its rule does not name them: see `choosing_fields`.

    Args:
        policy: The rule's.
        found: What the scan found, with the cookies that the application is to see.
    """
    whole = policy.lifetime is None and not (policy.public or policy.cookies or policy.vary_by)
    return choosing_fields(found, cookies=whole)


def view_of(scope: Scope, plan: Plan, content: bytes | None) -> Any:
    """A request for the callables of its rule; its content as well, if the rule is for that."""
    content = (content or b"") if plan.policy.body else None
    return request_of(scope, plan.resolved.path_params, content)


class Auditing(Protocol):
    """Compares some of the hits with what the application answers now."""

    def chooses(self) -> bool:
        """Whether the hit that is being answered is to be audited; then `audit` is called."""

    def audit(self, request: "Request", slot: Slot) -> None:
        """Begin it, now that the client has its answer.

        Args:
            request: The client's.
            slot: What has answered it while it was fresh.
        """

    def filled(self, request: "Request", slot: Slot) -> None:
        """What the application has answered to this request was stored."""


class Request:
    """A request that its rule lets meet the cache, ready to be answered.

    Attributes:
        app: The application.
        auditing: Compares some of the hits; None if none is compared.
        confirms: Takes the scope when the application has answered: whether its router chose the
            endpoint whose rule this is.
        common: What the lifespan has put into the state of every request.
        content: Its content, which is in its key; None for a GET or HEAD, which has none.
        scope: The scope as it came.
        found: What the scan found, with the cookies that the application is to see.
        plan: What is known of its target.
        table: The routes and their rules.
        plain: Whether its answer depends on nothing in it but its target and its content.
        partition: Whose copy it gets, as the rule's `vary_by` says; None if it has none.
        primary: Its primary key, set once the partition is known.
        slot: Where what has answered it is stored; None if nothing has, or that is not known.
    """

    foreground = False
    """Whether it renews what it finds stale itself, as its endpoint needs its own arguments."""

    def __init__(
        self,
        scope: Scope,
        found: FieldLines,
        plan: Plan,
        table: RouteTable,
        app: ASGIApp,
        confirms: Callable[[Scope], bool],
        common: Mapping[str, Any] = _NOTHING,
        content: bytes | None = None,
        auditing: Auditing | None = None,
    ) -> None:
        self.app = app
        self.confirms = confirms
        self.common = common
        self.content = content
        self.scope = scope
        self.found = found
        self.plan = plan
        self.plain: bool = plan.whole and plan.plain.issuperset(found)
        self.partition: bytes | None = None
        self.primary = ""
        self.slot: Slot | None = None
        self.auditing = auditing
        self._headers: Headers | None = None
        self.table = table
        self._view: Any = None

    @property
    def headers(self) -> Headers:
        """The field lines, with the cookies that the application is to see.

        Made when they are first asked for: a plain hit needs none.
        """
        if self._headers is None:
            headers = normalised(self.scope["headers"])
            if self.plan.policy.narrows_cookies:
                headers = with_cookies_of(self.found, headers)
            self._headers = headers
        return self._headers

    @property
    def directives(self) -> CacheControl | None:
        """The request's own directives, where the rule honours them."""
        if not self.plan.policy.honor_request_directives:
            return None
        if self.found.keys().isdisjoint((Field.CACHE_CONTROL, Field.PRAGMA)):
            return None
        return of_request(self.headers)

    @property
    def codings(self) -> tuple[bytes, ...]:
        """As `accepts`; ranges are those of the content without a coding."""
        return () if Field.RANGE in self.found else self.accepts

    @property
    def accepts(self) -> tuple[bytes, ...]:
        """Content codings that its answer may have, the preferred one first; none without choice.

        `IDENTITY` is among them unless it is refused.
        """
        plan = self.plan
        if not plan.offers or not may_be_encoded(self.found, shared=plan.offers_all):
            return ()
        if (directives := self.directives) is not None and directives.no_transform:
            return ()
        return accepted(accept_encoding_of(self.headers), plan.offers)

    @property
    def label(self) -> str:
        """The route, or the path where no route is known: for log lines and errors."""
        return self.plan.resolved.route or self.path

    @property
    def path(self) -> str:
        """The path as the application's routes know it."""
        return self.table.tree.path_of(self.scope["path"], self.scope.get("root_path", ""))

    @property
    def method(self) -> str:
        """GET or HEAD; POST or QUERY with content."""
        method: str = self.scope["method"]
        return method

    @property
    def asked_by(self) -> str:
        """The method by which the application is asked for what is stored: GET for a HEAD."""
        return "GET" if self.content is None else self.method

    @property
    def content_part(self) -> bytes | None:
        """Its method and content as a part of its key; None for a GET or HEAD."""
        if self.content is None:
            return None
        by_meaning = self.plan.policy.body == "json"
        return content_part(
            self.method, self.headers, self.content, self.plan.veil, by_meaning=by_meaning
        )

    @property
    def view(self) -> Any:
        """The request for the rule's callables."""
        if self._view is None:
            self._view = view_of(self.scope, self.plan, self.content)
        return self._view

    def name_and_tags(self) -> tuple[str, tuple[str, ...]] | None:
        """The name and the tags of the response; None if it may not have them.

        An exception of a callable in `tags=` reaches the caller.
        """
        policy, resolved = self.plan.policy, self.plan.resolved
        if policy.key is None and not policy.tags:
            return "", resolved.alias
        query = self.plan.query
        if query is None:
            query = self.scope.get("query_string", b"")
        return resolved.name_and_tags(resolved.values(query), self.view)

    def born(self, index: Index) -> Born:
        """The position in the log that what answers it is born at."""
        return index.born()

    def objection(self) -> Reason | None:
        """Why the answer is its client's alone, as far as the request itself knows."""
        return None

    def told(self, headers: Headers) -> Headers:
        """A response's field lines, with what caches downstream need to know of this request."""
        return told(headers, self.plan.terms, chosen_by(self.plan.policy, self.found))

    def is_for_others(self, stored: StoredResponse) -> bool:
        """Whether this request carries `Authorization` and the response does not say that it does.

        Where an annotation decides, the rule has said what separates users, or that nothing does.
        """
        policy = self.plan.policy
        if Field.AUTHORIZATION not in self.found or policy.lifetime is not None:
            return False
        if policy.public or policy.terms.authorized:
            return False
        return not may_answer_authorized(stored.headers, policy.terms)

    def kind(self, key: str) -> str:
        """The key under which it is remembered that answers to requests like this are not shared.

        Answers to `Authorization` may have to be each client's own while the others are shared.
        """
        own = Field.AUTHORIZATION in self.found and not self.plan.terms.authorized
        return f"{key}{_AUTHORIZED_MARK}" if own else key

    def variant_key(self, fields: tuple[bytes, ...]) -> str:
        """The key of the representation that this request's fields choose."""
        policy = self.plan.policy
        chosen = secondary_key(fields, self.headers, normalise_language=policy.normalise_language)
        return f"{self.primary}{VARIANT_MARK}{self.plan.veil(chosen).decode()}"
