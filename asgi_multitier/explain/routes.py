"""What is cached, under which key, and what drops it: a table of an application's routes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from ..config.policy import Policy
from ..errors import ConfigError
from ..policy.invalidation import is_safe
from ..routing import RouteTable
from ..routing.annotations import annotations_of
from ..routing.checks import below_their_marks, check, methods_of
from ..routing.globs import fill_path
from ..routing.routes import Leaf, Tree
from .effects import Change, Changes, named_by, target_of
from .explanation import Effect, plain
from .findings import Finding, Level
from .lint import Route, lint
from .order import order_of

Layers: TypeAlias = tuple[Sequence[str], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteShown:
    """One route.

    Attributes:
        route: Its path template, after the host where it requires one.
        methods: What it takes.
        endpoint: What it calls.
        chosen_by: Why its policy is that, or none: see `explanation.RuleShown`.
        cached: Whether responses are cached.
        lifetime: Seconds that they are fresh; None if their own fields decide, or none is cached.
        shadow: Whether the rule only observes (`shadow=True`): the application answers.
        key: What is in the key besides the URL.
        tags: Templates of tags, and names of callables.
        dropped_by: Which routes drop its responses.
        drops: What its own changes drop besides its URL.
    """

    route: str
    methods: tuple[str, ...]
    endpoint: str
    chosen_by: str
    cached: bool
    lifetime: float | None
    shadow: bool
    key: tuple[str, ...]
    tags: tuple[str, ...]
    dropped_by: tuple[Effect, ...]
    drops: tuple[Effect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesReport:
    """The routes of an application, and what is odd about them.

    Attributes:
        routes: One for each route, in the router's order.
        findings: What is odd, the gravest first.
    """

    routes: tuple[RouteShown, ...]
    findings: tuple[Finding, ...]

    @classmethod
    def of_all(cls, reports: Sequence["RoutesReport"]) -> "RoutesReport":
        """Those of several applications, one after the other."""
        return cls(
            routes=tuple(route for each in reports for route in each.routes),
            findings=tuple(finding for each in reports for finding in each.findings),
        )

    @property
    def failed(self) -> bool:
        """Whether any finding is more than information."""
        return any(one.level is not Level.INFORMATION for one in self.findings)

    def as_json(self) -> dict[str, Any]:
        """What `json.dumps` takes."""
        found: dict[str, Any] = plain(self)
        return found


def report_of(table: RouteTable, layers: Layers) -> RoutesReport:
    """The routes of an application by its annotations and rules alone: nothing of it runs.

    Args:
        table: The routes and their rules.
        layers: The classes of the layers outside of the cache, and of those inside of it, from the
            outside in.
    """
    return reading_of(table, layers)()


def reading_of(table: RouteTable, layers: Layers) -> Callable[[], RoutesReport]:
    """What makes the report of the routes as they are now; it may be called in any thread.

    Call this where the routes are used: they may be read again.
    """
    table.refresh()
    return partial(_report, table, table.tree, layers)


def _report(table: RouteTable, tree: Tree, layers: Layers) -> RoutesReport:
    """The report; the table is asked for what never changes of it alone."""
    findings = list[Finding]()
    try:
        check(tree, *table.given)
    except ConfigError as error:
        findings.append(_error(str(error)))
    changes = Changes(tree)
    by_leaf = {id(change.leaf): change for change in changes.all}
    routes = [_route(table, leaf, by_leaf.get(id(leaf)), changes) for leaf in tree.leaves()]
    findings += [*map(_above, below_their_marks(tree.leaves())), *lint(routes), *order_of(*layers)]
    findings.sort(key=lambda one: (list(Level).index(one.level), one.code))
    return RoutesReport(routes=tuple(map(_shown, routes)), findings=tuple(findings))


def _error(message: str) -> Finding:
    """What keeps the application from starting: messages end with what is expected."""
    text, _, expected = message.partition("; expected ")
    remedy = f"Expected {expected}" if expected else "Correct it"
    return Finding.of("E1", "", text, f"{remedy}. Until then the application does not start")


def _above(leaf: Leaf) -> Finding:
    """A mark that does nothing for a route."""
    return Finding.of(
        "W7",
        str(leaf),
        "A mark such as @cached stands above the decorator of the route, which calls the function "
        "without it: it does nothing",
        "Move it below the decorator of the route, such as below @app.get",
    )


def _route(table: RouteTable, leaf: Leaf, change: Change | None, changes: Changes) -> Route:
    policy, reason = ruled(table, leaf)
    target = None if policy is None else target_of(leaf, policy)
    effects = [] if target is None else changes.on(target)
    return Route(leaf, policy, reason, target, change, tuple(effects))


def ruled(table: RouteTable, leaf: Leaf) -> tuple[Policy | None, str]:
    """The policy of a route: that of the first of its methods that has one."""
    first = None
    for method in sorted(methods_of(leaf), key=lambda method: (not is_safe(method), method)):
        if method == "HEAD":
            continue
        policy, reason = policy_for(table, leaf, method)
        if policy is not None and (is_safe(method) or policy.body):
            return policy, reason
        first = first or reason
    return None, first or "method"


def policy_for(table: RouteTable, leaf: Leaf, method: str) -> tuple[Policy | None, str]:
    """The policy of a route for one method, and why it is that one or none.

    Rules are asked with a path that the route takes: one for some of its paths alone may hold or
    not.
    """
    if leaf.opaque:
        return None, "custom-match"
    path = fill_path(leaf.path, dict.fromkeys(leaf.path_params, "x"))
    return table.policy_for(annotations_of(leaf.endpoint, method), method, path, leaf)


def _shown(route: Route) -> RouteShown:
    policy, leaf = route.policy, route.leaf
    return RouteShown(
        route=leaf.template,
        methods=tuple(sorted(leaf.methods or ())),
        endpoint=getattr(leaf.endpoint, "__qualname__", type(leaf.endpoint).__qualname__),
        chosen_by=route.reason,
        cached=policy is not None,
        lifetime=None if policy is None else policy.lifetime,
        shadow=policy is not None and policy.shadow,
        key=() if policy is None else _key(policy),
        tags=() if route.target is None else tuple(one.shown for one in route.target.tags),
        dropped_by=route.dropped_by,
        drops=() if route.change is None else tuple(named_by(route.change.given)),
    )


def _key(policy: Policy) -> tuple[str, ...]:
    """What is in the key besides the URL, and what of its query."""
    names = [f"query:{name}" for name in policy.query or ()]
    names += [f"field:{name.decode('latin-1')}" for name in policy.vary]
    names += [f"cookie:{name}" for name in policy.cookies]
    options = (("vary_by", policy.vary_by), ("guard", policy.guarded), ("content", policy.body))
    return (*names, *(name for name, given in options if given))
