"""Asking what would become of a request that is not sent."""

import asyncio
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from .._about import page
from .._loading import loaded
from ..routing import RouteTable
from .home import at_home
from .lifecycle import Lifecycle
from .listeners import Held

if TYPE_CHECKING:
    from ..explain.explanation import Explanation
    from ..explain.question import HeadersOption, Question
    from ..explain.routes import RoutesReport


class Explains(Protocol):
    """What explains the requests of one application."""

    @property
    def mount(self) -> str | None:
        """The root path of all that the application is asked for; None for any."""

    async def explain(self, question: "Question") -> "Explanation":
        """What would become of a request."""

    def reading(self) -> "Callable[[], RoutesReport]":
        """What makes the report of the application's routes as they are now, in any thread."""


class Explaining(Lifecycle):
    """Explanations. See `CacheManager`."""

    @cached_property
    def _explainers(self) -> Held[Explains]:
        """The latest first."""
        return Held()

    @cached_property
    def tables(self) -> Held[RouteTable]:
        """The rules of its middleware, the latest first, from when that is made."""
        return Held()

    def explained_by(self, explainer: Explains) -> None:
        """Note who explains the requests of an application, whose rules are known from here on.

        Args:
            explainer: It is asked before those that were noted earlier: a manager may have one
                application after the other, as in tests. It is held by its middleware alone.
        """
        self._explainers.add(explainer)

    def routes(self) -> "RoutesReport":
        """The routes of the application: what is cached, what drops it, and what is odd about them.

        It is found out by annotations and rules alone. Of several applications with this cache, all
        are told, one after the other; where none has begun, there are no routes.
        """
        return _all_of(self._readings())

    @at_home
    async def read_routes(self) -> "RoutesReport":
        """As `routes`, in a thread: with thousands of routes that takes half a second."""
        return await asyncio.to_thread(_all_of, self._readings())

    def _readings(self) -> "list[Callable[[], RoutesReport]]":
        """What makes the report of each application, the first first."""
        return [explainer.reading() for explainer in reversed(self._explainers.alive())]

    @at_home
    async def explain(
        self,
        method: str = "GET",
        url: str = "/",
        headers: "HeadersOption" = None,
        *,
        body: bytes | None = None,
        run_callables: bool = False,
        shared: bool = False,
        reveal: bool = False,
    ) -> "Explanation":
        """What would become of a request, and why.

        The application does not run, nothing is counted, and no entry is used, moved or removed.

        Args:
            method: The request's.
            url: A URL; or a path with its query, of the host that clients ask most. Fields that a
                proxy adds to each request are as in the requests that clients send to this host.
            headers: Its field lines: a mapping, or pairs.
            body: Its content; None for none.
            run_callables: Whether callables of the rule are called: `vary_by`, `when`, `enabled`,
                `tags`. If not, the explanation says what they decide.
            shared: Whether shared tiers are asked, where a request would ask them.
            reveal: Whether paths, tags and names are shown with their values. Those of request
                fields, cookies and query parameters never are.

        Returns:
            The explanation. Its verdict is `unknown` if no application has begun with this cache.

        Raises:
            ConfigError: If the method, the URL or a field line is not allowed.
        """
        await loaded("asgi_multitier.explain.question")
        from ..explain.explanation import Explanation, Verdict
        from ..explain.question import question_of
        from ..explain.sentences import UNBOUND, UNBOUND_REMEDY

        question = question_of(
            method,
            url,
            headers,
            body=body,
            run_callables=run_callables,
            shared=shared,
            reveal=reveal,
        )
        explainer = self._explainer_of(question.path)
        if explainer is not None:
            return await explainer.explain(question)
        return Explanation(
            verdict=Verdict.UNKNOWN,
            sentence=UNBOUND,
            remedy=UNBOUND_REMEDY,
            docs=page("guides/explain.md"),
            method=question.method,
        )

    def _explainer_of(self, path: str) -> Explains | None:
        """Who explains requests of a path: the latest of those that are asked for it."""
        for explainer in self._explainers.alive():
            mount = (explainer.mount or "").rstrip("/")
            if not mount or path == mount or path.startswith(f"{mount}/"):
                return explainer
        return None


def _all_of(readings: "list[Callable[[], RoutesReport]]") -> "RoutesReport":
    """The report of all applications."""
    from ..explain.routes import RoutesReport  # for those who look, and lints

    return RoutesReport.of_all([read() for read in readings])
