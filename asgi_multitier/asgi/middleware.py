"""CacheMiddleware: the whole story of a request, from the top.

A usual hit ends in `__call__`: it finds the plan of its target, and sends what `Hits` has ready for
it. Everything else goes one door further: `_meet` for what a rule lets meet the cache,
`_bypass` for what passes by, `UnsafeMethods` for what may change something; `Questions` finds out
which of these asks for something and meets the cache after all.

The middleware sees no Redis and no lock; it is a client of the manager.
"""

import asyncio
from asyncio.events import _get_running_loop as loop_here
from collections.abc import Sequence
from functools import partial
from operator import itemgetter

from .._types import ASGIApp, Receive, Scope, Send
from ..coherence.repeats import Repeating
from ..config.policy import Policy
from ..config.rules import Rule
from ..errors import ConfigError
from ..events import Outcome
from ..manager.manager import CacheManager
from ..policy.reasons import Reason
from ..policy.request import Field, FieldLines, scan
from ..policy.request_content import without_framing
from ..routing import Resolved, RouteTable
from .admission import Failures, Refused, admit, is_for_guard
from .arguments import NamedOptions, check_arguments
from .asked import Asked, ask
from .auditing import auditor_of
from .debugging import class_of
from .exchange import Exchange
from .explaining import Explainer
from .framework import FILL_KEY, single_callable
from .guarded import GuardedExchange
from .hits import Hits
from .in_front import InFront
from .kept_plan import HOW, KeptPlan
from .layers import Looking, dated
from .lifespan import Lifespan, give_state
from .lookup import LookUp
from .own_client import OwnClient
from .passing import Passing
from .plan import Plan
from .plans import Plans
from .questions import Questions
from .read_your_writes import PATIENCE, take_position
from .receiving import opened
from .refusing import refusing
from .request import Request
from .request_key import request_key, visible
from .shadowing import Shadow
from .shared_hit import is_plain, shared_hit
from .unsafe import UnsafeMethods

_how = itemgetter(*HOW)


class CacheMiddleware(NamedOptions):
    """Caches whole responses of any ASGI application.

    Args:
        app: The application.
        cache: The manager; None makes one from the environment, with all defaults.
        rules: What holds for routes that are not annotated; the first that matches counts.
        default: What holds for everything else; None caches none of it.
            `Policy.from_origin()` lets the responses' own headers decide.
        read_your_writes: Whether a client that has changed something sees its change on every
            instance at once, at the price of a cookie and of up to 50 ms. Needs `secret`.
        warm: See `CacheConfig.warm`; for the manager that None makes.

    Raises:
        ConfigError: If an argument or rule is wrong: at once, or when the server starts.
    """

    @refusing
    def __init__(
        self,
        app: ASGIApp,
        cache: CacheManager | None = None,
        *,
        rules: Sequence[Rule] = (),
        default: Policy | None = None,
        read_your_writes: bool = False,
        warm: str | None = None,
    ) -> None:
        check_arguments(cache, rules, default, warm)
        self.app: ASGIApp = single_callable(app)
        self.manager: CacheManager = _manager(warm) if cache is None else cache
        self._secret = _signing_secret(self.manager) if read_your_writes else None
        self.table: RouteTable = RouteTable(app, rules=rules, default=default)
        self._home = self.manager.home
        self._lifespan = Lifespan(self, self.app, self.manager, self.table, self._on_bound)
        self._planning = Plans(self.manager, self.table, positions=self._secret is not None)
        self._plans = self._planning.remembered
        self._layouts = self._planning.layouts
        self._looking = Looking()
        self._hits = Hits(self.manager, self._planning)
        self._auditor = auditor_of(self._planning)
        self.in_front: InFront = InFront(self._planning, self._hits)
        self._own_client = OwnClient(self, self._lifespan, self._planning)
        self._failures = Failures(self.app, self.manager)
        questions = Questions(self._planning, self._meet, self._bypass, self._failures)
        life, ask, secret = self._lifespan, self._request, self._secret
        self._unsafe = UnsafeMethods(self._run, life, self._planning, questions, ask, secret)
        run = self._unsafe.runner
        shadow = Shadow(self._planning, life, run, ask, secret)
        self._passing = Passing(self._planning, run, shadow)
        self.__class__ = class_of(self)

    def over(self, manager: CacheManager) -> "CacheMiddleware":
        """Another one around the same application, with the same rules."""
        (rules, default), signs = self.table.given, self._secret is not None
        return type(self)(self.app, manager, rules=rules, default=default, read_your_writes=signs)

    def _on_bound(self, app: ASGIApp, mount: str | None) -> None:
        """The cache has its name: what a plain hit looks up is at hand from here on."""
        self._own_client.stand_before(app, mount)
        self._explainer = Explainer(self._planning, self._lifespan, self._own_client, self._secret)
        self._take_engine()
        self.manager.on_mode_change(self._planning.forget)
        self.manager.on_renewal(self._take_engine)

    def _take_engine(self) -> None:
        self._planning.forget()
        self._hits.take(self.manager.engine)

    def __repr__(self) -> str:
        return f"<CacheMiddleware {self.table!r}, {len(self._plans)} plans, {self.manager!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI scope."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        method = scope["method"]
        if method != "GET" and method != "HEAD":  # faster than a set
            await self._unsafe(scope, receive, send)
            return
        lines, host, layout = self._layouts.last
        if layout is None or scope["headers"] != lines:
            host, layout = self._layouts.read(scope)
        try:  # as `KeptPlans.find`, written out
            raw, query, how = scope["raw_path"], scope["query_string"], _how(scope)
            last, plans = self._plans.at_hand
            if last is None or how != last[1] or host != last[0]:
                plans = self._plans.of((host, how))
            kept = plans.get(raw + b"?" + query if query else raw)
        except (KeyError, TypeError):  # a server need not give all
            kept = None
        if kept is None or kept.path != scope["path"] or kept.cut != (len(raw) + 1 if query else 0):
            kept = self._plans.find(scope, host) or self._plan(scope, host)
        common = kept.common
        if common.reason is not None:
            plan = self._planning.whole(kept, scope, host)
            await self._bypass(plan, common.reason, scope, receive, send)
            return
        asked = ask(kept, scope, self.manager) if common.asks else None
        ready = self._hits.ready(kept, layout, scope, asked)
        if ready is None:
            engine, look_up = self.manager.engine, None
            kind = common.kind()  # held while a tier is asked: the plan is made of it
            found = layout.found(scope["headers"]) or {}
            if kind and self._home.place is loop_here() and is_plain(kept, layout, scope, engine):
                look_up = await shared_hit(engine, kept, scope, send, tell=self._looking.found)
                if look_up is None:
                    return
            plan = self._planning.whole(kept, scope, host)
            await self._meet(plan, found, scope, receive, send, None, asked, kept, look_up)
            return
        if self._looking.found and common.routed and (kind := common.kind()) is not None:
            kind.tell(kept, scope)
        headers = [*ready.lines]
        await send({"type": "http.response.start", "status": ready.status, "headers": headers})
        await send({"type": "http.response.body", "body": ready.body if method == "GET" else b""})

    def _plan(self, scope: Scope, host: bytes | None) -> KeptPlan:
        """The plan of a target that is asked for the first time, or again after long."""
        self._lifespan.bind(scope)
        self._looking.look()
        return self._planning.keep(scope, host)

    def resolve(self, scope: Scope) -> Resolved:
        """The route of a request, and its rule; of a HEAD, those of a GET."""
        self._lifespan.bind(scope)
        method = scope["method"]
        return self._planning.resolve("GET" if method == "HEAD" else method, scope)

    async def _meet(
        self,
        plan: Plan,
        found: FieldLines,
        scope: Scope,
        receive: Receive,
        send: Send,
        content: bytes | None = None,
        asked: Asked | None = None,
        kept: KeptPlan | None = None,
        look_up: LookUp | None = None,
    ) -> None:
        """What is not answered at once; with content, a POST or QUERY whose content was read."""
        if scope.get(FILL_KEY) is self.manager.engine:
            # The same cache stands outside as well, and asks for all clients.
            await self.app(scope, receive, send)
            return
        came_with = () if kept is None else tuple(scope["headers"])  # the application may edit them
        send = self._looking.telling(scope, plan.resolved, self.table.router, send)
        try:
            receive, met = await self._admitted(plan, found, scope, receive, content, asked)
        except asyncio.CancelledError:
            plan.tally.count(Outcome.MISS)  # every request is counted, also one that leaves here
            raise
        if isinstance(met, Refused):
            if not await self._failures(plan, met, scope, receive, send):
                await self._bypass(plan, met.reason, scope, receive, send)
        elif plan.policy.guarded:
            await GuardedExchange(self.manager.engine, met, send).run(receive)
        else:
            exchange = Exchange(self.manager.engine, met, receive, send, look_up)
            await exchange.run()
            if kept is not None:
                self._hits.selections.learn(kept, came_with, met.partition, exchange.selected)

    async def _admitted(
        self,
        plan: Plan,
        found: FieldLines,
        scope: Scope,
        receive: Receive,
        content: bytes | None,
        asked: Asked | None,
    ) -> tuple[Receive, Request | Refused]:
        """The request with its key, or why it does not meet the cache; and the client's channel."""
        if is_for_guard(plan, found) and self._lifespan.is_here:
            give_state(scope, self.manager)
            return receive, self._request(scope, found, plan)
        if self._secret is not None and Field.COOKIE in found and loop_here() is not None:
            found, reached = await self._reached(scope, self._secret)
            if not reached:
                return receive, Refused(Reason.POSITION)
        found = visible(plan.policy, found if content is None else without_framing(found))
        reason = self._planning.refusal(plan, found, scope)
        if reason is not None or loop_here() is None:
            return receive, Refused(reason or Reason.EVENT_LOOP)
        if content is None and not plan.framed:
            receive, has_body = await opened(receive)
            if has_body:
                return receive, Refused(Reason.REQUEST_BODY)
        await self._lifespan.start()
        if self._home.place is not loop_here():
            # Deliberate: the cache lives in another event loop, and this one's `send` and `receive`
            # cannot be used from there. The application answers, and nothing is stored.
            return receive, Refused(Reason.EVENT_LOOP)
        give_state(scope, self.manager)
        request = self._request(scope, found, plan, content)
        partition = await admit(request, asked)
        if isinstance(partition, Refused):
            return receive, partition
        request.partition = partition
        if request.plain and content is None:
            request.primary = plan.key
        elif not plan.policy.guarded:  # behind a guard, the endpoint's arguments are needed
            part = request.content_part
            request.primary = request_key(plan, request.headers, found, partition, part)
        return receive, request

    def _request(
        self, scope: Scope, found: FieldLines, plan: Plan, content: bytes | None = None
    ) -> Request:
        confirms = partial(self._planning.confirms, plan)
        common, run = self._lifespan.common, self._unsafe.runner(plan, scope, content)
        of = common, content, self._auditor
        return Request(scope, found, plan, self.table, run, confirms, *of)

    async def _reached(self, scope: Scope, secret: bytes) -> tuple[FieldLines, bool]:
        """Take the position's cookie off a request; whether that position is applied here."""
        scope["headers"], position = take_position(scope["headers"], secret)
        found = scan(scope["headers"], self._planning.watch)[1] or {}
        if position is None:
            return found, True
        await self._lifespan.start()
        is_here = self._home.place is loop_here()
        return found, is_here and await self.manager.engine.log.reached(position, PATIENCE)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application; what it invalidates by hand is invalidated again when it returns."""
        if self._lifespan.dates:
            send = dated(send, self.manager.engine.wall)
        self._planning.name_own_tags(scope)
        async with Repeating(self.manager, scope.get("root_path", "")):
            await self.app(scope, receive, send)

    # What passes by.

    async def _bypass(
        self, plan: Plan, reason: Reason, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let the application answer alone."""
        await self._passing(plan, reason, scope, receive, send)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lifespan, websocket, and scopes that are yet to be invented."""
        if scope["type"] == "lifespan":
            await self._lifespan.run(scope, receive, send)
        elif scope["type"] == "websocket":
            give_state(scope, self.manager)
            await self._run(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _signing_secret(manager: CacheManager) -> bytes:
    if (secret := manager.config.secret) is None:
        allowed = "False, or a manager with secret= to sign the positions"
        raise ConfigError.of("read_your_writes", True, allowed, where="CacheMiddleware")
    return secret


def _manager(warm: str | None) -> CacheManager:
    return CacheManager() if warm is None else CacheManager(warm=warm)
