"""The door of a server's protocol: it asks for a hit before there is a scope, a task or a channel.

The decision is that of `hits`, and the plans are those that the middleware has made; a target that
has none yet, and whatever has to be waited for, go through the middleware.
"""

from .._types import Scope
from .hits import Hits
from .kept_plan import KeptPlan
from .layout import Layout
from .plans import Plans
from .replay import Prepared

_ONLY_METHOD: dict[str, Scope] = {
    method: {"method": method, "headers": ()} for method in ("GET", "HEAD")
}
"""All that is asked of a request whose fields do not count."""


class Found:
    """A request that may be answered at once, now or when it comes again.

    Attributes:
        plan: The plan of its target.
        layout: That of its field lines.
        scope: The request; without its fields if they do not count.
        generation: Of the plans.
    """

    __slots__ = ("generation", "layout", "plan", "scope")

    def __init__(self, plan: KeptPlan, layout: Layout, scope: Scope, generation: int) -> None:
        self.plan: KeptPlan = plan
        self.layout: Layout = layout
        self.scope: Scope = scope
        self.generation: int = generation


class InFront:
    """What a server may ask of a cache.

    Args:
        plans: The plans of targets.
        hits: Decides.
    """

    __slots__ = ("_hits", "_plans", "_remembered")

    def __init__(self, plans: Plans, hits: Hits) -> None:
        self._plans = plans
        self._hits = hits
        self._remembered = plans.remembered

    def find(self, scope: Scope) -> Found | None:
        """What is known of a request; None if it goes through the middleware.

        Args:
            scope: A GET or a HEAD, as the middleware would get it: all that names its target, and
                its field lines.
        """
        if self._remembered.overlooks:
            return None  # a sample of requests is taken, by the middleware
        host, layout = self._plans.layouts.read(scope)
        plan = self._remembered.find(scope, host)
        if plan is None:
            return None
        common = plan.common
        if common.reason is not None or not common.prompt or common.asks:
            return None
        if common.alone and common.plain.issuperset(layout.fields):
            layout, scope = self._plans.layouts.none, _ONLY_METHOD[scope["method"]]
        return Found(plan, layout, scope, self._plans.generation)

    def ready(self, found: Found) -> Prepared | None:
        """What answers a request now; it is counted as a hit. None if nothing does."""
        if found.generation != self._plans.generation or self._remembered.overlooks:
            return None
        plan, scope = found.plan, found.scope
        if not plan.common.alone and not scope["headers"]:
            return None  # meanwhile they count
        return self._hits.ready(plan, found.layout, scope)

    def withdraw(self, found: Found) -> None:
        """The server cannot send what `ready` gave: the middleware answers, and counts."""
        found.plan.common.tally.local -= 1
