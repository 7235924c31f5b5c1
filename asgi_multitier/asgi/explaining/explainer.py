"""What the manager asks: a door to one middleware."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..._loading import loaded
from ...routing.routes import Tree
from ..lifespan import Lifespan, give_state
from ..own_client import OwnClient
from ..plans import Plans

if TYPE_CHECKING:
    from ...explain.effects import Changes
    from ...explain.explanation import Explanation
    from ...explain.question import Question
    from ...explain.routes import RoutesReport


class Explainer:
    """Explains requests of one application, for as long as its middleware holds it.

    It is made when the rules are known: the manager asks it from then on. What explains is loaded
    when it is asked: few processes ever are.

    Args:
        plans: What is known of its targets, and the cache.
        lifespan: What its life has put into the state of every request.
        own_client: Knows of what clients ask for, and where the application is mounted.
        secret: Signs the positions that clients carry; None if they carry none.
    """

    def __init__(
        self, plans: Plans, lifespan: Lifespan, own_client: OwnClient, secret: bytes | None
    ) -> None:
        self._plans = plans
        self._lifespan = lifespan
        self._own_client = own_client
        self._secret = secret
        self._known: tuple[Tree, Changes] | None = None
        plans.manager.explained_by(self)

    @property
    def mount(self) -> str | None:
        """The root path of all that the application is asked for; None for any."""
        return self._own_client.mount

    async def explain(self, question: "Question") -> "Explanation":
        """What would become of a request."""
        await loaded("asgi_multitier.asgi.explaining.walk")
        from .walk import Walk

        scope = question.scope(self._own_client.origins, self.mount)
        scope["state"] = dict(self._lifespan.common)
        give_state(scope, self._plans.manager)
        walk = Walk(
            self._plans, self._lifespan.common, question, scope, self._changes(), self._secret
        )
        return await walk.explained()

    def reading(self) -> "Callable[[], RoutesReport]":
        """What makes the report of the application's routes as they are now, in any thread."""
        from ...explain.routes import reading_of
        from ...manager.routes import layers_around

        return reading_of(self._plans.table, layers_around(self._own_client.app))

    def _changes(self) -> "Changes":
        """The routes that may change something, found once until the routes are read again."""
        from ...explain.effects import Changes

        table = self._plans.table
        table.refresh()
        tree = table.tree
        if self._known is None or self._known[0] is not tree:
            self._known = tree, Changes(tree)
        return self._known[1]
