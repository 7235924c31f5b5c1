"""Making plans: from the route table, the settings and one request of a target."""

from collections import deque
from collections.abc import Callable
from functools import cached_property

from .._types import Scope
from ..events import NOT_COUNTED, Tally
from ..manager.manager import CacheManager
from ..policy import key as keys
from ..policy.encoded import with_own_tags
from ..policy.reasons import Reason
from ..policy.request import FieldLines, Watch, scan
from ..routing import Resolved, RouteTable
from ..warming.targets import Origin
from .admission import disabled, refusal_of
from .kept_plan import KeptPlan, Kinds, target_of
from .kept_plans import KeptPlans
from .layout import Layouts
from .plan import Plan, RuledMemory, plan_for
from .sample import WARM_KEY, Sample, origin_of

_MOST_ORIGINS = 1_000

_REASONS = {
    "no-cache": Reason.NO_CACHE_ANNOTATION,
    "method": Reason.METHOD,
    "security": Reason.SECURITY,
}
"""What the route table's words are called in `Cache-Status`; anything else is `no-rule`."""


class Plans:
    """Makes plans, and forgets them all when the routes may have changed.

    Args:
        manager: The cache.
        table: The routes and their rules.
        positions: Whether a cookie may carry a log position.

    Attributes:
        manager, table: As above.
        watch: Which request fields matter.
        layouts: What is known of the names of requests' fields.
        remembered: The plans of targets that were asked for lately.
        asked: What a sample of requests asks for; None while no sample is taken.
        origins: What the last targets were asked of.
        generation: Rises whenever all plans are forgotten.
    """

    def __init__(self, manager: CacheManager, table: RouteTable, *, positions: bool) -> None:
        self.manager = manager
        self.table = table
        self._generation = table.generation
        self.watch: Watch = Watch(manager.config.credentials)
        self.layouts: Layouts = Layouts(self.watch)
        self._ruled = RuledMemory(positions=positions)
        self.asked: Sample | None = None
        self.origins: deque[Origin] = deque(maxlen=_MOST_ORIGINS)
        # Targets that the first tier has no room for need no plan kept: half its bytes hold about
        # as many plans as it holds entries.
        config = manager.config
        self.remembered: KeptPlans = KeptPlans(2 * config.l1_entries, config.l1_bytes // 2)
        self._kinds = Kinds(self.forget, table)
        self._on_forget: Callable[[], None] | None = None
        self.generation: int = 0

    def on_forget(self, call: Callable[[], None]) -> None:
        """Call this whenever all plans are forgotten: what was made of them no longer holds."""
        self._on_forget = call

    def forget(self) -> None:
        """Forget all plans: they are made once more, from the rules and routes as they are then."""
        self.generation += 1
        self.remembered.clear()
        if self._on_forget is not None:
            self._on_forget()

    @cached_property
    def _veil(self) -> keys.Veil:
        """Made with the first plan: the cache has its name by then."""
        return keys.Veil(self.manager.config.secret or self.manager.namespace.encode())

    def keep(self, scope: Scope, host: bytes | None, method: str = "GET") -> KeptPlan:
        """Make the plan of a target, and remember it if it is a client that asks.

        Args:
            scope, host, method: See `make`.
        """
        mode = self.manager.mode
        plan = self.make(scope, host, method)
        kept = self._kinds.kept(plan, scope)
        # What a warm-up asks for is noted when a client does.
        if WARM_KEY not in scope:
            self._note(scope, host, plan)
            self.remembered.remember(scope, host, kept)
            if self.manager.mode != mode:
                # Another thread has switched it after the look above.
                self.forget()
        return kept

    def whole(self, kept: KeptPlan, scope: Scope, host: bytes | None, method: str = "GET") -> Plan:
        """The whole of a plan that was remembered.

        Args:
            kept: The plan.
            scope, host, method: See `make`.
        """
        return kept.whole() or self.make(scope, host, method)

    def make(
        self, scope: Scope, host: bytes | None, method: str = "GET", *, counted: bool = True
    ) -> Plan:
        """Make the plan of a target.

        Args:
            scope: A request of the target.
            host: Its Host as sent; None unless there is exactly one.
            method: That of the requests whose responses are meant: GET for a HEAD, and for a POST
                whose response is stored for GET.
            counted: Whether what is done with it is counted for its route.
        """
        manager, mode = self.manager, self.manager.mode
        resolved = self.resolve(method, scope)
        reason = None
        if resolved.policy is None:
            reason = _REASONS.get(resolved.reason, Reason.NO_RULE)
        elif mode == "off":
            reason = Reason.OFF
        elif resolved.policy.enabled is False:
            reason = Reason.DISABLED
        if scope["method"] == "HEAD":
            own = self.resolve("HEAD", scope)
            methods = () if resolved.policy is None else resolved.policy.methods
            if own.reason != "method" and own.endpoint is not resolved.endpoint:
                # The application answers it by an endpoint of its own.
                resolved, reason = own, Reason.METHOD
            elif reason is None and ("HEAD" not in methods or _refuses(own, resolved)):
                reason = Reason.METHOD
        observed = mode == "shadow" or (mode == "on" and _is_observed(resolved))
        plan = plan_for(
            scope,
            host,
            resolved,
            self._tally_of(resolved) if counted else Tally(),
            manager.config,
            self._veil,
            reason=None if observed else reason,
            ruled=self._ruled,
        )
        if observed:  # it has its key, whatever its reason is
            plan.reason, plan.beneath = Reason.SHADOW, reason or plan.reason
        return plan

    def _tally_of(self, resolved: Resolved) -> Tally:
        """Where the requests of a target are counted.

        Those to the applications of this package are not: a look at the figures must not change
        them.
        """
        if resolved.inert:
            return NOT_COUNTED
        engine = self.manager.engine
        if resolved.policy is not None and resolved.policy.guarded:
            engine.audits.leave_out(resolved.label)
        return engine.events.tally(resolved.label)

    def _note(self, scope: Scope, host: bytes | None, plan: Plan) -> None:
        """Note for warm-ups what a client asks for, and of whom."""
        if plan.reason is not None or host is None:
            return
        origin = origin_of(scope, host, plan, scan(scope["headers"], self.watch)[1] or {})
        if origin is None:
            return
        self.origins.append(origin)
        if self.asked is not None:
            self.asked.note(scope, origin, target_of(scope, host), plan)

    def refusal(self, plan: Plan, found: FieldLines, scope: Scope) -> Reason | None:
        """Why this request may not meet the cache although its target may.

        Args:
            plan: The plan of its target, without a reason.
            found: What the scan found in its fields.
            scope: The request.
        """
        refused = disabled(plan.policy)
        if refused is None:
            return refusal_of(plan, found, scope)
        if refused.error is not None:
            events = self.manager.engine.events
            events.callback_failed("enabled", refused.error, plan.resolved.label)
        return refused.reason

    def resolve(self, method: str, scope: Scope) -> Resolved:
        """The route of a request, were it sent with this method, and its rule."""
        host, _ = scan(scope["headers"], self.watch)
        resolved = self.table.resolve(
            method,
            scope["path"],
            scope.get("root_path", ""),
            host=host or b"",
            path_params=scope.get("path_params", {}),
        )
        if self.table.generation != self._generation:
            self._routes_changed()
        return resolved

    def name_own_tags(self, scope: Scope) -> None:
        """Where a request names the tag of a content coding, let it name the application's too."""
        headers = with_own_tags(scope["headers"]) if scope["type"] == "http" else None
        if headers is None:
            return
        policy = self.resolve("GET", scope).policy
        if policy is not None and policy.compress:
            scope["headers"] = headers

    def confirms(self, plan: Plan, scope: Scope) -> bool:
        """Whether the router chose what was predicted; if not, the routes may be out of date."""
        ran = self.table.ran(scope)
        endpoint = None if ran is None else ran.endpoint
        if self.table.confirms(plan.resolved, endpoint):
            if self.table.generation != self._generation:
                self._routes_changed()
            return True
        forgotten = self.table.mistaken(plan.resolved.route, endpoint)
        events = self.manager.engine.events
        events.route_mismatch(plan.resolved.route, endpoint, said=forgotten)
        if forgotten:
            self._routes_changed()
        return False

    def _routes_changed(self) -> None:
        self._generation = self.table.generation
        self.forget()


def _is_observed(resolved: Resolved) -> bool:
    """Whether the rule says that the application answers, and the cache only looks on."""
    return resolved.policy is not None and resolved.policy.shadow


def _refuses(own: Resolved, resolved: Resolved) -> bool:
    """Whether the framework refuses HEAD where its guard would have to be asked."""
    guarded = resolved.policy is not None and bool(resolved.policy.guarded)
    return guarded and own.reason == "method"
