"""Unsafe requests: what they invalidate, and when.

An unsafe request that was answered 2xx or 3xx has changed something (RFC 9111 §4.4), unless it was
rejected before any endpoint had it. What it invalidates is dropped before the client can know of
the change, that is before `http.response.start` leaves, and a second time when the application
returns: dependencies with `yield` commit after the response. One that raises or is cancelled may
have changed something before, and drops it as well; so does one whose exception a handler of the
application's own answers 5xx, where its route names what it invalidates.
"""

import asyncio
from asyncio.events import _get_running_loop as loop_here
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from .._types import ASGIApp, Header, Headers, Message, Receive, Scope, Send
from ..coherence.log import Operation
from ..engine.mutations import UnderWay
from ..entry import Born
from ..manager.invalidation import Begin, Phase
from ..manager.manager import CacheManager
from ..policy import cache_status
from ..policy import key as keys
from ..policy.cache_status import Forward
from ..policy.headers import normalised
from ..policy.invalidation import (
    Target,
    decoded_path,
    invalidated_groups,
    invalidated_paths,
    is_safe,
    may_invalidate,
    sends_on,
)
from ..policy.reasons import Reason
from ..policy.request import FieldLines, scan
from ..policy.request_content import without_framing
from ..routing import Resolved, RouteTable
from ..routing.changed import Changes, changes, names_of_arguments, without_unread
from ..selectors import Selector, aliased, is_short
from .framework import request_of
from .layers import is_known
from .lifespan import Lifespan, give_state
from .plan import Plan, raw_target
from .plans import Plans
from .post_caching import PostCaching
from .questions import Questions
from .read_your_writes import UNKNOWN, set_cookie
from .receiving import Reading
from .request import Request
from .request_key import request_key, visible
from .sending import with_cache_status


class UnsafeMethods:
    """Answers requests that are not answered from the cache; most of them change something.

    Args:
        app: The application.
        lifespan: Names and starts the cache.
        plans: Makes plans.
        questions: Those that ask for something, and are answered from the cache after all.
        request_for: Makes a request that the cache may answer.
        secret: Signs the positions that clients carry; None if they carry none.
    """

    def __init__(
        self,
        app: ASGIApp,
        lifespan: Lifespan,
        plans: Plans,
        questions: Questions,
        request_for: Callable[[Scope, FieldLines, Plan], Request],
        secret: bytes | None,
    ) -> None:
        self._app = app
        self._manager = plans.manager
        self._lifespan = lifespan
        self._plans = plans
        self._questions = questions
        self._request_for = request_for
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        self._lifespan.bind(scope)
        give_state(scope, self._manager)
        host, found = scan(scope["headers"], self._plans.watch)
        read: Reading | None = None
        plan, resolved = self._questions.find(scope, host)
        if plan is not None:
            read = await self._questions.answer(plan, found or {}, scope, receive, send)
            if read is None:
                return
            receive = read.receive
        detail, content = (None, None) if read is None else (read.reason, read.content)
        member: bytes | None = cache_status.forwarded(Forward.METHOD, detail=detail)
        secret = self._secret
        if self._manager.mode == "shadow" or (plan is not None and plan.reason is Reason.SHADOW):
            member = secret = None  # nothing is added to what the application answers
        if is_safe(scope["method"]) or loop_here() is None:
            await self._app(scope, receive, _telling(send, member))
            return
        if self._manager.mode != "off":
            await self._lifespan.start()
        if resolved is None:
            resolved = self._plans.resolve(scope["method"], scope)
        if resolved.inert:
            await self._app(scope, receive, _telling(send, member))
            return
        mutation = Mutation(
            self._manager,
            self._plans.table,
            resolved,
            scope,
            host,
            secret,
            content=content,
        )
        post = self._post_caching(resolved, scope, host, found or {}, mutation)
        if post is None:
            await mutation.run(self._app, receive, send, mutation.begin, member)
        else:
            await mutation.run(post, receive, send, post.begin, member)

    def runner(self, plan: Plan, scope: Scope, content: bytes | None) -> ASGIApp:
        """What runs the application for a request that is none of these, as far as is known.

        Args:
            plan: Its plan.
            scope: The request.
            content: None where it is for a GET.
        """
        asks = content is not None and not is_safe(scope["method"])
        return partial(self._ask, plan) if asks else self._app

    async def _ask(self, plan: Plan, scope: Scope, receive: Receive, send: Send) -> None:
        """Run a question; if the router chooses an endpoint that says so, it is a change."""
        host, _ = scan(scope["headers"], self._plans.watch)
        table, resolved = self._plans.table, plan.resolved
        secret = None if plan.reason is Reason.SHADOW else self._secret
        mutation = Mutation(self._manager, table, resolved, scope, host, secret, predicted=False)
        await mutation.run(self._app, receive, send, mutation.begin, None)

    def _post_caching(
        self,
        resolved: Resolved,
        scope: Scope,
        host: bytes | None,
        found: FieldLines,
        mutation: "Mutation",
    ) -> PostCaching | None:
        """What keeps the answer to a POST for a later GET, where the rule wants that.

        A policy that is for POST lets the responses' own headers decide.
        """
        policy = resolved.policy
        if policy is None or policy.body or self._manager.home.place is not loop_here():
            return None
        plan = self._plans.make(scope, host)
        found = visible(plan.policy, without_framing(found))
        if plan.reason is not None or self._plans.refusal(plan, found, scope) is not None:
            return None
        if is_known(scope) and not plan.policy.public:
            return None
        request = self._request_for(scope, found, plan)
        try:
            labels = request.name_and_tags()
        except Exception as error:  # noqa: BLE001  # a callable of the rule
            self._manager.engine.events.callback_failed("tags", error, resolved.label)
            return None
        if labels is None:
            return None
        request.primary = request_key(plan, request.headers, found, None)
        return PostCaching(self._manager.engine, request, mutation.target, mutation.begin, *labels)


def _telling(send: Send, member: bytes | None) -> Send:
    """A `send` that adds a member of `Cache-Status`, if there is one."""
    return send if member is None else with_cache_status(send, member)


class Mutation:
    """One unsafe request.

    Args:
        manager: The cache.
        table: The routes and their rules.
        resolved: The route and the rule that are predicted for it.
        scope: The request.
        host: Its Host as sent; None unless there is exactly one.
        secret: Signs the position that its client is to carry; None if it carries none.
        predicted: Whether it is a change as far as is known; else it is one only if the router
            chooses another endpoint than predicted, and that names what it invalidates.
        content: Its content for the callables of `@invalidates`, where it was read.

    Attributes:
        target: Its URL.
    """

    def __init__(
        self,
        manager: CacheManager,
        table: RouteTable,
        resolved: Resolved,
        scope: Scope,
        host: bytes | None,
        secret: bytes | None,
        *,
        predicted: bool = True,
        content: bytes | None = None,
    ) -> None:
        self._manager = manager
        self._table = table
        self._resolved = resolved
        self._scope = scope
        self._received = dict(scope)  # a mount changes the root path of the application's own
        self._secret = secret
        self._predicted = predicted
        self._content = content
        self._changes = Changes()
        scheme = scope.get("scheme", "http")
        self.target: Target = Target(scheme, keys.host_of(host, scheme) or b"", *raw_target(scope))

    async def run(
        self, app: ASGIApp, receive: Receive, send: Send, begin: Begin, member: bytes | None
    ) -> None:
        """Run the request, and invalidate what it has changed.

        Args:
            app: The application.
            receive, send: The client's channel.
            begin: Puts an invalidation into force.
            member: What `Cache-Status` says of it; None if that is said elsewhere.
        """
        mutations = self._manager.engine.mutations
        route = f"{self._received['method']} {self._resolved.label}"
        with mutations.running(route, self._received["path"]) as under_way:
            under_way.changes = self._predicted
            await self._run(under_way, app, receive, send, begin, member)

    async def _run(
        self,
        under_way: UnderWay,
        app: ASGIApp,
        receive: Receive,
        send: Send,
        begin: Begin,
        member: bytes | None,
    ) -> None:
        """As `run`, for a mutation that is noted as under way."""
        selectors: Sequence[Selector] = ()
        method, engine = self._scope["method"], self._manager.engine

        async def watching(message: Message) -> None:
            nonlocal selectors
            if message["type"] == "http.response.start":
                status = message["status"]
                under_way.status, under_way.answered = status, engine.clock()
                headers = [*message.get("headers", ())]
                added = [] if member is None else [(cache_status.NAME, member)]
                if may_invalidate(method, status) or status >= 500:
                    selectors = self._selectors(status, normalised(headers))
                    if selectors:
                        under_way.drops(selectors)
                        position = await self._invalidate(selectors, begin, "response")
                        added += self._position_line(position)
                if added:
                    message = {**message, "headers": headers + added}
            await send(message)

        returned = False
        token = changes.set(self._changes)
        try:
            await app(self._scope, receive, watching)
            returned = True
        finally:
            changes.reset(token)
            if not (selectors or returned):
                # It raised or was cancelled: how far it came is unknown, so it counts as done.
                selectors = self._selectors(0, ())
                under_way.drops(selectors)
            if selectors:
                # Also when the client has gone: what was committed is committed.
                await self._invalidate(selectors, begin, "end")

    def begin(self, selectors: Sequence[Selector]) -> Operation:
        """Put an invalidation into force, synchronously."""
        # Of the endpoint that the application's router has chosen.
        named = self._table.chosen(self._resolved, self._scope).invalidations
        return self._manager.begin_with(named.settle if named else 0)(selectors)

    async def _invalidate(
        self, selectors: Sequence[Selector], begin: Begin, phase: Phase
    ) -> Born | None:
        """Invalidate on every instance; that goes on if its caller is cancelled."""
        route = self._resolved.label
        dropping = self._manager.begin_invalidation(selectors, begin, route=route, phase=phase)
        return await asyncio.shield(dropping)

    def _position_line(self, position: Born | None) -> list[Header]:
        """The field line that gives the client the position of its write in the log."""
        if self._secret is None:
            return []
        secure = self._scope.get("scheme") == "https"
        return [set_cookie(UNKNOWN if position is None else position, self._secret, secure=secure)]

    def _selectors(self, status: int, headers: Headers) -> Sequence[Selector]:
        """What the request invalidates; the status is 0 if there was no response."""
        resolved, table = self._resolved, self._table
        if not (self._predicted or self._is_another()):
            return ()
        if status >= 500 and resolved.invalidations is None:
            return ()  # RFC 9111 §4.4: a failure changes nothing, as far as URLs are concerned
        if not 200 <= status < 300 and not table.answers(
            resolved, self._scope, proven=sends_on(status)
        ):
            return ()
        if table.misses(resolved, self._scope):
            self._manager.engine.events.endpoint_unseen(self._scope["method"])
        try:
            by_url, by_route = self.named(status, headers)
        except Exception as error:  # noqa: BLE001  # nothing that had to be dropped may stay
            self._manager.engine.events.callback_failed("invalidates", error, resolved.label)
            self._count("failed")
            return [Selector("all", "")]
        selectors = [*by_url, *by_route]
        self._count("url", *(("route",) if by_route else ()))
        # A text that is too long to be sent selects nothing: what is stored has no such name.
        return [selector for selector in dict.fromkeys(selectors) if is_short(selector.text)]

    def named(self, status: int, headers: Headers) -> tuple[list[Selector], Sequence[Selector]]:
        """What the request names, if it is a change: by URL, and by its route.

        Args:
            status, headers: Of its response; 0 if there was none.

        Raises:
            Exception: What a callable of `@invalidates` has raised.
        """
        root_path = self._received.get("root_path", "")
        chosen = self._table.chosen(self._resolved, self._scope)
        by_route = self._named_by_route(chosen, root_path)
        return self._named_by_url(chosen, status, headers, root_path), by_route

    def _count(self, *by: str) -> None:
        for each in by:
            self._manager.engine.events.invalidated(self._resolved.label, each)

    def _is_another(self) -> bool:
        """Whether the router has chosen an endpoint that was not predicted and that invalidates."""
        chosen = self._table.chosen(self._resolved, self._scope)
        return chosen is not self._resolved and chosen.invalidations is not None

    def _named_by_url(
        self, chosen: Resolved, status: int, headers: Headers, root_path: str
    ) -> list[Selector]:
        """The request's own URL, and what its response names."""
        path_of = self._table.tree.path_of
        selectors = [Selector("path", path_of(self._received["path"], root_path))]
        if chosen.alias:
            selectors.append(Selector("path", aliased(chosen.alias)))
        for path in invalidated_paths(self.target, status, headers):
            selectors += [Selector("path", path_of(each, root_path)) for each in decoded_path(path)]
        groups = invalidated_groups(self._received["method"], headers, self.target)
        return selectors + [Selector("tag", group) for group in groups]

    def _named_by_route(self, chosen: Resolved, root_path: str) -> Sequence[Selector]:
        """What the route names; an exception of a callable in `invalidates=` is raised."""
        # What a callable needs for `url_for`, and only the application's router knows.
        routers = {name: self._scope[name] for name in ("app", "router") if name in self._scope}
        view = request_of({**self._received, **routers}, chosen.path_params, self._content)
        return self._table.dropped_by(self._as_read(chosen), self._values(chosen), view, root_path)

    def _values(self, chosen: Resolved) -> dict[str, tuple[str, ...]]:
        """What templates are filled from: the URL, and what the endpoint's arguments said.

        Where an argument has no such value, it is not known what to drop, and `Missing` is raised.
        """
        if self._changes.error is not None:
            raise self._changes.error
        return chosen.values(self.target.query) | self._changes.values

    def _as_read(self, chosen: Resolved) -> Resolved:
        """Without templates over arguments of an endpoint that was not reached."""
        named = chosen.invalidations
        if named is None:
            return chosen
        names = names_of_arguments(named, chosen.endpoint)
        unread = frozenset(names).difference(self._changes.values)
        return replace(chosen, invalidations=without_unread(named, unread)) if unread else chosen
