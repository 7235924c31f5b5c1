"""CacheMiddleware: the whole story of a request, from the top.

A plain hit ends in `__call__`: it finds the plan of its target, the slot of its key, and sends what
was prepared. Everything else goes one door further: `_meet` for what a rule lets meet the cache,
`_bypass` for what passes by, `mutate` for what changes something.

The middleware sees no Redis and no lock; it is a client of the manager.
"""

from asyncio.events import _get_running_loop as loop_here
from collections.abc import Mapping, Sequence
from functools import partial
from inspect import isawaitable
from operator import itemgetter
from typing import Any

from .._types import ASGIApp, Header, Headers, Message, Receive, Scope, Send
from ..coherence.log import Operation
from ..coherence.repeats import repeating
from ..config.policy import Policy, VaryBy
from ..config.rules import Rule
from ..entry import Born
from ..errors import ConfigError
from ..manager.invalidation import Begin
from ..manager.manager import CacheManager
from ..policy import cache_status
from ..policy import key as keys
from ..policy.cache_status import Forward
from ..policy.headers import normalised
from ..policy.invalidation import (
    Target,
    decoded,
    invalidated_groups,
    invalidated_paths,
    is_safe,
    sends_on,
)
from ..policy.partition import ALLOWED, partition_part
from ..policy.reasons import Reason
from ..policy.request import (
    Field,
    FieldLines,
    Watch,
    credential_refusal,
    is_doubtful,
    refusal,
    scan,
)
from ..policy.validation import is_for_origin
from ..routing import Resolved, RouteTable
from ..selectors import Selector, aliased, is_short
from .exchange import Exchange
from .framework import FILL_KEY, SCOPE_KEY, answer_to, request_of, single_callable
from .layers import dated, is_known, opened, take_date
from .plan import (
    Plan,
    PlanKey,
    TwoGenerationCache,
    plan_for,
    raw_target,
    request_key,
    size_of_target,
    target_of,
    visible,
)
from .post_caching import Posted
from .read_your_writes import PATIENCE, UNKNOWN, read_token, set_cookie, take_cookie
from .replay import prepare
from .request import Request
from .sending import with_cache_status
from .unsafe import mutate

_UNRULED = Policy()
_REASONS = {
    "no-cache": Reason.NO_CACHE_ANNOTATION,
    "method": Reason.METHOD,
    "security": Reason.SECURITY,
}
"""What the route table's words are called in `Cache-Status`; anything else is `no-rule`."""


_CALLABLES = {Reason.WHEN: "when", Reason.PARTITION: "vary_by"}
"""What the options are called in the counters of failures."""

_TARGET = ("raw_path", "query_string", "path", "root_path", "scheme", "http_version", "method")
_target = itemgetter(*_TARGET)
"""Everything in a scope that names its target and how it is asked, beside the Host; some of it is
optional."""


class CacheMiddleware:
    """Caches whole responses of any ASGI application.

    Args:
        app: The application.
        cache: The manager; None makes one from the environment, with all defaults.
        rules: What holds for routes that are not annotated; the first that matches counts.
        default: What holds for everything else; None caches none of it.
            `Policy.from_origin()` lets the responses' own headers decide.
        read_your_writes: Whether a client that has changed something sees its change on every
            instance at once, at the price of a cookie and of up to 50 ms. Needs `secret`.

    Raises:
        ConfigError: If an argument is of the wrong kind; at start-up, if an annotation or rule is
            wrong or unsafe.
    """

    def __init__(
        self,
        app: ASGIApp,
        cache: CacheManager | None = None,
        *,
        rules: Sequence[Rule] = (),
        default: Policy | None = None,
        read_your_writes: bool = False,
    ) -> None:
        _check_arguments(cache, rules, default)
        self.app = single_callable(app)
        self.manager = cache if cache is not None else CacheManager()
        self._secret = self.manager.config.secret if read_your_writes else None
        if read_your_writes and self._secret is None:
            allowed = "False, or a manager with secret= to sign the positions"
            raise ConfigError.of("read_your_writes", True, allowed, where="CacheMiddleware")
        self._table = RouteTable(app, rules=rules, default=default)
        self._generation = self._table.generation
        # Targets that the first tier has no room for need no plan kept: half its bytes hold about
        # as many plans as it holds entries.
        config = self.manager.config
        self._plans: TwoGenerationCache[PlanKey, Plan] = TwoGenerationCache(
            2 * config.l1_entries, config.l1_bytes // 2, size_of_target
        )
        self._watched = Watch(config.credentials)
        self._bound = False
        self._home = self.manager.home
        self._started: object = None
        self._common: Mapping[str, Any] = {}
        self._dates = False
        self._complaint: ConfigError | None = None

    def __repr__(self) -> str:
        return f"<CacheMiddleware {self._table!r}, {len(self._plans)} plans, {self.manager!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI scope."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        method = scope["method"]
        if method != "GET" and method != "HEAD":  # faster than a set
            await self._unsafe(scope, receive, send)
            return
        host, found = scan(scope["headers"], self._watched)
        try:
            target = (host, _target(scope))
        except KeyError:
            target = (host, tuple(map(scope.get, _TARGET)))
        plan = self._plans.young.get(target)
        if plan is None:
            plan = self._plans.recall(target) or self._plan(scope, host, target)
        if plan.reason is not None:
            await self._bypass(plan, plan.reason, scope, receive, send)
            return
        if (
            plan.instant
            and self._home.place is loop_here()
            and (found is None or plan.plain.issuperset(found))
            # Where a layer says who asks; written out, as it is faster than a set.
            and not (
                ("user" in scope or "session" in scope or "auth" in scope or "extensions" in scope)
                and not plan.policy.public
                and is_known(scope)
            )
        ):
            slot = self._get(plan.key)
            if slot is not None and slot.view == self._index.view:
                replay = slot.replay or prepare(slot, plan.terms)
                now = self._clock()
                if replay is not None and now < replay.until:
                    second = int(now - replay.created)
                    if second != replay.second:
                        replay.renew(second)
                    plan.tally.local += 1
                    await send(
                        {
                            "type": "http.response.start",
                            "status": replay.status,
                            "headers": replay.lines.copy(),
                        }
                    )
                    body = replay.body if method == "GET" else b""
                    await send({"type": "http.response.body", "body": body})
                    return
        await self._meet(plan, found or {}, scope, receive, send)

    # What a rule lets meet the cache.

    async def _meet(
        self, plan: Plan, found: FieldLines, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Everything but the plain hit."""
        if scope.get(FILL_KEY) is self.manager.engine:
            # The same cache stands outside as well, and asks for everybody.
            await self.app(scope, receive, send)
            return
        if self._secret is not None and Field.COOKIE in found and loop_here() is not None:
            found, reached = await self._reached(scope, self._secret)
            if not reached:
                await self._bypass(plan, Reason.POSITION, scope, receive, send)
                return
        found = visible(plan.policy, found)
        reason = self._refusal(plan, found, scope)
        if reason is None and loop_here() is None:
            reason = Reason.EVENT_LOOP
        if reason is not None:
            await self._bypass(plan, reason, scope, receive, send)
            return
        if not plan.framed:
            receive, has_body = await opened(receive)
            if has_body:
                await self._bypass(plan, Reason.REQUEST_BODY, scope, receive, send)
                return
        await self._start()
        if self._home.place is not loop_here():
            # Deliberate: the cache lives in another event loop, and this one's `send` and `receive`
            # cannot be used from there. The application answers, and nothing is stored.
            await self._bypass(plan, Reason.EVENT_LOOP, scope, receive, send)
            return
        self._give_state(scope)
        request = self._request(scope, found, plan)
        policy = plan.policy
        partition: bytes | None = None
        asked = Reason.WHEN
        try:
            if is_known(scope) and not (policy.public or policy.vary_by):
                reason = Reason.COOKIE if Field.COOKIE in found else Reason.IDENTITY
            elif policy.when is not None and not await _awaited(policy.when(request.view)):
                reason = Reason.WHEN
            elif policy.vary_by is not None:
                asked = Reason.PARTITION
                partition = await _partition(policy.vary_by, request)
                reason = Reason.PARTITION if partition is None else None
        except Exception as error:  # noqa: BLE001  # answered as the framework would, or not at all
            answering = answer_to(error, scope, self.app)
            if answering is not None:
                plan.tally.passed(asked)
                member = cache_status.forwarded(Forward.BYPASS, detail=asked)
                await answering(scope, receive, with_cache_status(send, member, plan.terms))
                return
            self.manager.engine.events.callback_failed(_CALLABLES[asked], error)
            reason = asked
        if reason is not None:
            await self._bypass(plan, reason, scope, receive, send)
            return
        if request.plain:
            request.primary = plan.key
        else:
            request.primary = request_key(plan, request.headers, found, partition)
        await Exchange(self.manager.engine, request, receive, send).run()

    def _request(self, scope: Scope, found: FieldLines, plan: Plan) -> Request:
        confirms = partial(self._chosen, plan)
        return Request(scope, found, plan, self._table, self._run, confirms, self._common)

    async def _reached(self, scope: Scope, secret: bytes) -> tuple[FieldLines, bool]:
        """Take the position's cookie off a request; whether this instance is as far as it says."""
        headers, value = take_cookie(scope["headers"])
        scope["headers"] = headers
        found = scan(headers, self._watched)[1] or {}
        position = None if value is None else read_token(value, secret)
        if position is None:
            return found, True
        await self._start()
        if self._home.place is not loop_here():
            return found, False
        return found, await self.manager.engine.log.reached(position, PATIENCE)

    def _stamp(self, scope: Scope, secret: bytes, position: Born | None) -> Header:
        secure = scope.get("scheme") == "https"
        return set_cookie(UNKNOWN if position is None else position, secret, secure=secure)

    def _refusal(self, plan: Plan, found: FieldLines, scope: Scope) -> Reason | None:
        """Why this request may not meet the cache although its target may."""
        policy = plan.policy
        if not (found or policy.vary):
            return None
        reason = refusal(found, method=scope["method"], target=target_of(scope))
        if reason is not None:
            return reason
        keyed = frozenset(policy.vary)
        if is_doubtful(scope["headers"], found, keyed):
            return Reason.FIELD_NAME
        if policy.lifetime is None:
            # The responses say for themselves whether they may be shared (RFC 9111 §3.5).
            keyed |= {b"authorization", b"cookie"}
        reason = credential_refusal(
            found,
            public=policy.public,
            keyed=keyed,
            cookies_keyed=bool(policy.cookies),
            partitioned=policy.vary_by is not None,
        )
        if (
            reason is None
            and Field.CONDITION in found
            and is_for_origin(normalised(scope["headers"]))
        ):
            return Reason.PRECONDITION
        return reason

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application; what is dropped in it by hand is dropped again when it returns."""
        if self._dates:
            send = dated(send, self.manager.engine.wall)
        async with repeating(self.manager, scope.get("root_path", "")):
            await self.app(scope, receive, send)

    # What passes by.

    async def _bypass(
        self, plan: Plan, reason: Reason, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let the application answer alone, and say why."""
        plan.tally.passed(reason)
        self._give_state(scope)
        member = cache_status.forwarded(Forward.BYPASS, detail=reason)
        await self._run(scope, receive, with_cache_status(send, member, plan.terms))
        self._chosen(plan, scope)

    async def _unsafe(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A method that is not answered from the cache; most of them change something."""
        self._bind(scope)
        self._give_state(scope)
        method = scope["method"]
        if is_safe(method) or loop_here() is None:
            member = cache_status.forwarded(Forward.METHOD)
            await self._run(scope, receive, with_cache_status(send, member))
            return
        await self._start()
        resolved = self._resolve(method, scope)

        def dropped(asked: Scope, status: int, headers: Headers) -> Sequence[Selector]:
            if status >= 500 and resolved.invalidations is None:
                return ()  # RFC 9111 §4.4: a failure changes nothing, as far as a URL can tell
            if not 200 <= status < 300 and not self._table.answers(
                resolved, scope.get("endpoint"), proven=sends_on(status)
            ):
                return ()
            if self._table.misses(resolved, scope):
                self.manager.engine.events.endpoint_unseen(scope["method"])
            # What a callable needs for `url_for`, and only the application's router knows.
            seen = {**asked, **{name: scope[name] for name in ("app", "router") if name in scope}}
            return self._dropped(self._table.chosen(resolved, scope), seen, status, headers)

        def begin(selectors: Sequence[Selector]) -> Operation:
            named = self._table.chosen(resolved, scope).invalidations
            return self.manager.begin_with(named.settle if named else 0)(selectors)

        posted = self._posted(resolved, scope, begin)
        stamp = None if self._secret is None else partial(self._stamp, scope, self._secret)
        await mutate(
            self._run if posted is None else posted,
            scope,
            receive,
            send,
            dropped=dropped,
            invalidate=partial(
                self.manager.begin_invalidation, begin=begin if posted is None else posted.begin
            ),
            stamp=stamp,
        )

    def _posted(self, resolved: Resolved, scope: Scope, begin: Begin) -> Posted | None:
        """Who keeps the answer to a POST for those who ask by GET, where the rule wants that.

        A policy that is for POST lets the responses' own headers decide.
        """
        if resolved.policy is None or self._home.place is not loop_here():
            return None
        host, found = scan(scope["headers"], self._watched)
        raw_path, query = raw_target(scope)
        plan = self._plan(scope, host, None)
        of_body = (Field.BODY_LENGTH, Field.BODY_CODING, Field.EXPECT)
        found = {field: lines for field, lines in (found or {}).items() if field not in of_body}
        found = visible(plan.policy, found)
        if plan.reason is not None or self._refusal(plan, found, scope) is not None:
            return None
        if is_known(scope) and not plan.policy.public:
            return None
        request = self._request(scope, found, plan)
        try:
            labels = request.name_and_tags()
        except Exception as error:  # noqa: BLE001  # a callable of the rule
            self.manager.engine.events.callback_failed("tags", error)
            return None
        if labels is None:
            return None
        request.primary = request_key(plan, request.headers, found, None)
        scheme = scope.get("scheme", "http")
        target = Target(scheme, keys.host_of(host, scheme) or b"", raw_path, query)
        return Posted(self.manager.engine, request, target, begin, *labels)

    def _dropped(
        self, resolved: Resolved, scope: Scope, status: int, headers: Headers
    ) -> Sequence[Selector]:
        """The request's own URL, what its response names, and what its route names."""
        raw_path, query = raw_target(scope)
        root_path = scope.get("root_path", "")
        host, _ = scan(scope["headers"], self._watched)
        scheme = scope.get("scheme", "http")
        path_of = self._table.tree.path_of
        selectors = [Selector("path", path_of(scope["path"], root_path))]
        if resolved.alias:
            selectors.append(Selector("path", aliased(resolved.alias)))
        target = Target(scheme, keys.host_of(host, scheme) or b"", raw_path, query)
        for path in invalidated_paths(target, status, headers):
            selectors += [Selector("path", path_of(each, root_path)) for each in decoded(path)]
        groups = invalidated_groups(scope["method"], headers, target)
        selectors += [Selector("tag", group) for group in groups]
        try:
            values = resolved.values(query)
            view = request_of(scope, resolved.path_params)
            selectors += self._table.dropped_by(resolved, values, view, root_path)
        except Exception as error:  # noqa: BLE001  # nothing that had to be dropped may stay
            self.manager.engine.events.callback_failed("invalidates", error)
            return [Selector("all", "")]
        # A text that is too long to be sent selects nothing: what is stored has no such name.
        return [selector for selector in dict.fromkeys(selectors) if is_short(selector.text)]

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lifespan, websocket, and scopes that are yet to be invented."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if scope["type"] == "websocket":
            self._give_state(scope)
            await self._run(scope, receive, send)
            return
        await self.app(scope, receive, send)

    # Start and stop.

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the manager when the application has started, close it when that has stopped."""
        try:
            _refuse_another(scope.get(SCOPE_KEY), self.manager)
            self._bind(scope)
        except ConfigError as error:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise

        async def watching(message: Message) -> None:
            complete = message["type"] == "lifespan.startup.complete"
            if complete and loop_here() is not None and self.manager.mode == "on":
                await self._start()
            elif message["type"].startswith("lifespan.shutdown."):
                await self._close()
            await send(message)

        self._dates = take_date(receive) or self._dates
        scope[SCOPE_KEY] = self.manager
        if scope.get("state") is not None:
            self._give_state(scope)
            self._common = scope["state"]
        try:
            await self.app(scope, receive, watching)
        finally:
            await self._close()

    async def _start(self) -> None:
        """Start the manager, unless somebody else has; whoever starts it closes it."""
        here = loop_here()
        if self._home.place is here:
            await self.manager.start()
            return
        await self.manager.start()
        if self._home.place is here:
            self._started = here

    async def _close(self) -> None:
        if self._started is not None and self._started is loop_here():
            self._started = None
            await self.manager.close()

    def _bind(self, scope: Scope) -> None:
        """Once, when the application is known: name the cache after it, and check the rules.

        Raises:
            ConfigError: Each time, if an annotation or a rule is wrong, or there is no name.
        """
        if self._complaint is not None:
            raise self._complaint
        if self._bound:
            return
        try:
            self._table.attach(scope)
            self._table.check()
            self.manager.name_after(scope.get("app", self), self._table, serves=True)
        except ConfigError as error:
            self._complaint = error
            raise
        engine = self.manager.engine
        if (outer := scope.get(SCOPE_KEY, self.manager)) is not self.manager:
            engine.events.within_another(self.manager, outer)
        if self._table.unreadable:
            engine.events.routes_unreadable(self._table.unreadable)
        if stray := self._table.stray():
            engine.events.marks_stray(stray)
        config = self.manager.config
        self._veil = keys.Veil(config.secret or self.manager.namespace.encode())
        self._index = engine.index
        self._get = engine.stack.local.get
        self._clock = engine.clock
        self.manager.on_mode_change(self._plans.clear)
        self._bound = True

    # Routes.

    def _plan(self, scope: Scope, host: bytes | None, target: PlanKey | None) -> Plan:
        """Make the plan of a target, and remember it under `target` if that is given."""
        self._bind(scope)
        resolved = self._resolve("GET", scope)
        reason = None
        if resolved.policy is None:
            reason = _REASONS.get(resolved.reason, Reason.NO_RULE)
        elif self.manager.mode == "off":
            reason = Reason.OFF
        if scope["method"] == "HEAD":
            own = self._resolve("HEAD", scope)
            methods = () if resolved.policy is None else resolved.policy.methods
            if own.reason != "method" and own.endpoint is not resolved.endpoint:
                # The application answers it by an endpoint of its own.
                resolved, reason = own, Reason.METHOD
            elif reason is None and "HEAD" not in methods:
                reason = Reason.METHOD
        policy = self.manager.config.applied(resolved.policy or _UNRULED)
        plan = plan_for(
            scope,
            host,
            resolved,
            self.manager.engine.events.tally(resolved.route),
            reason=reason,
            policy=policy,
            terms=self.manager.config.terms_of(policy),
            version=self.manager.config.version,
            max_url=self.manager.config.max_url,
            veil=self._veil,
            positions=self._secret is not None,
        )
        if target is not None:
            self._plans.remember(target, plan)
        return plan

    def _resolve(self, method: str, scope: Scope) -> Resolved:
        host, _ = scan(scope["headers"], self._watched)
        resolved = self._table.resolve(
            method,
            scope["path"],
            scope.get("root_path", ""),
            host=host or b"",
            path_params=scope.get("path_params", {}),
        )
        if self._table.generation != self._generation:
            self._generation = self._table.generation
            self._plans.clear()
        return resolved

    def _chosen(self, plan: Plan, scope: Scope) -> bool:
        """Whether the router chose what was foretold; if not, the routes may be out of date."""
        endpoint = scope.get("endpoint")
        if self._table.confirms(plan.resolved, endpoint):
            return True
        forgotten = self._table.mistaken(plan.resolved.route, endpoint)
        self.manager.engine.events.route_mismatch(plan.resolved.route, endpoint, said=forgotten)
        if forgotten:
            self._generation = self._table.generation
            self._plans.clear()
        return False

    def _give_state(self, scope: Scope) -> None:
        """The manager stands in the scope, and as `request.state.cache` where that name is free.

        What an application has put there itself stays; the manager of a cache around it does not.
        """
        state = scope.setdefault("state", {})
        if "cache" not in state or state["cache"] is scope.get(SCOPE_KEY, self.manager):
            state["cache"] = self.manager
        scope[SCOPE_KEY] = self.manager


async def _partition(vary_by: VaryBy, request: Request) -> bytes | None:
    """Whose copy a request gets, as a part of its key; None for none.

    Raises:
        TypeError: If `vary_by` returns what cannot be told apart with certainty.
    """
    found = await _awaited(vary_by(request.view))
    partition = None if found is None else partition_part(found)
    if partition is None and found is not None:
        raise TypeError(f"a {type(found).__name__} is no partition; expected {ALLOWED}")
    return partition


async def _awaited(value: Any) -> Any:
    return await value if isawaitable(value) else value


def _refuse_another(outer: object, manager: CacheManager) -> None:
    """Two caches around one application would each miss what the other is told by hand."""
    if outer is not None and outer is not manager:
        raise ConfigError(
            f"CacheMiddleware stands around this application twice, with two managers, {outer!r}"
            f" and {manager!r}: install it once, or give both the same one,"
            " CacheMiddleware(app, manager)"
        )


def _check_arguments(cache: object, rules: object, default: object) -> None:
    where = "CacheMiddleware"
    if cache is not None and not isinstance(cache, CacheManager):
        raise ConfigError.of("cache", cache, "a CacheManager or None", where=where)
    if isinstance(rules, str | bytes) or not isinstance(rules, Sequence):
        raise ConfigError.of("rules", rules, "a list of Rule", where=where)
    for rule in rules:
        if not isinstance(rule, Rule):
            raise ConfigError.of("rules", rule, "a list of Rule", where=where)
    if default is not None and not isinstance(default, Policy):
        raise ConfigError.of("default", default, "a Policy or None", where=where)
