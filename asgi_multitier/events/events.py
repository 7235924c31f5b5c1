"""Events: all counters of one cache, and what it says in the process's log.

Log lines are written where a state changes, never per request; per request there are counters only.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from .counters import MANAGER, MAX_ROUTES, UNROUTED
from .log_lines import logger
from .told import Told

_CONSEQUENCES = {
    "tags": "the response is not stored",
    "tags_from": "the response is not stored",
    "invalidates": "everything of this namespace is dropped",
    "authorize": "the request is refused",
    "validator": "the application runs",
}
"""What becomes of a request where a callable has failed; the rest meets no cache."""

_UNUSED = (
    "no route of this application carries them; mark the endpoint itself, include its router, "
    "write functools.wraps into the decorators above it, or use CacheManager.cached for functions "
    "that are no endpoints"
)
_ABOVE = (
    "they stand above the decorator of the route, which calls the function without them; move them "
    "below it, such as below @app.get"
)


class Events(Told):
    """The counters and log lines of one cache.

    Args:
        clock: Monotonic seconds.
        wall: Unix seconds.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        super().__init__(clock, wall)
        self._public: set[str] = set()

    def routes_unreadable(self, application: str) -> None:
        """The application has routes of a kind that the cache does not know."""
        logger.warning(
            "the routes of %s are of an unknown kind: marks such as @cached have no effect there; "
            "write rules=[Rule('/path/*', 60)] for routes to cache, and Rule('/path/*', None) for "
            "routes that check the user",
            application,
        )

    def annotations_stray(self, names: Sequence[str], *, above: bool = False) -> None:
        """Functions are marked that no route of the application has, or has without the mark."""
        why = _ABOVE if above else _UNUSED
        logger.warning("marks such as @cached do nothing on %s: %s", _first_ten(names), why)

    def within_another(self, manager: object, outer: object) -> None:
        """A cache with another manager stands around this one."""
        logger.warning(
            "a CacheMiddleware with %r stands within one with %r: an invalidation by hand in one "
            "does not reach the other; give both the same manager, CacheMiddleware(app, manager) "
            "or add_middleware(CacheMiddleware, cache=manager)",
            manager,
            outer,
        )

    def route_mismatch(self, predicted: str, chosen: object, *, said: bool) -> None:
        """The router chose another endpoint than the route table predicted.

        That may happen at each request, so it is logged only if `said`.
        """
        self.failures["route-mismatch"] += 1
        if said:
            logger.warning(
                "route table was out of date: predicted %s but the router chose %r; rebuilding it "
                "(%d times so far)",
                predicted or "no route",
                chosen,
                self.failures["route-mismatch"],
            )

    @staticmethod
    def layer_outside(layer: str) -> None:
        """A layer stands around the cache, so a server's protocol may not answer in front of it."""
        logger.warning(
            "%s stands around CacheMiddleware and may change answers or count requests: hits are "
            "not answered in front of ASGI but by the application; add CacheMiddleware last, which "
            "puts it outermost, if hits need not pass that layer",
            layer,
        )

    @staticmethod
    def no_cache_in_front() -> None:
        """A server's protocol is to ask a cache, and the application shows none."""
        logger.error(
            "asgi_multitier.uvicorn finds no CacheMiddleware around the application, so every "
            "request goes to the application: write app.add_middleware(CacheMiddleware) or "
            "app = CacheMiddleware(app), or leave out --http"
        )

    def endpoint_unseen(self, method: str) -> None:
        """An endpoint that no route shows answered an unsafe request; logged once."""
        self.failures["endpoint-unseen"] += 1
        if self.failures["endpoint-unseen"] == 1:
            logger.warning(
                "a %s was answered by an endpoint that the route table does not show, so what its "
                "@invalidates names is not dropped: if a layer inside the cache changes the path, "
                "put that layer around the cache (add it after CacheMiddleware)",
                method,
            )

    def guarded_is_public(self, route: str) -> None:
        """The endpoint of a guarded route says `Cache-Control: public`; logged once for each route.

        Only a response shows that, so none is known at start.
        """
        if route in self._public or len(self._public) >= MAX_ROUTES:
            return
        self._public.add(route)
        logger.warning(
            "%s is guarded, and its endpoint says Cache-Control: public: a CDN or proxy gives the "
            "response to everyone, without the guard; remove public, or guarded= if the response "
            "is for everyone",
            route,
        )

    def callback_failed(self, what: str, error: Exception, route: str = UNROUTED) -> None:
        """A callable of a rule raised, which it may do at each request.

        Args:
            what: The option whose callable it is: `"tags"`, `"vary_by"` ...
            error: What it raised.
            route: The route.
        """
        self.failures[what] += 1
        self._tell("callback", what=what, route=route, error=type(error).__name__)
        if self._troubles.begins(f"{what}= fails", route):
            logger.warning(
                "%s= of %s raised %s: %r; %s",
                what,
                route,
                type(error).__name__,
                str(error)[:200],
                _CONSEQUENCES.get(what, "the application answers alone"),
            )

    def warm_up_failed(self, error: BaseException) -> None:
        """The application raised after the response to a request of a warm-up was complete."""
        self.failures["warm-up"] += 1
        logger.error(
            "the application raised after its response to a request of a warm-up; the response is"
            " stored if it may be",
            exc_info=error,
        )

    def warm_up_done(self, asked: int, failures: Mapping[str, str], failed: int) -> None:
        """A process has asked for what clients ask for.

        Args:
            asked: Targets.
            failures: What the first failures were, by URL.
            failed: How many there were.
        """
        if not failed:
            logger.info("warm-up: %d targets were asked for", asked)
            return
        url, why = next(iter(failures.items()))
        logger.warning(
            "warm-up: %d of %d targets failed, first %s: %s; clients ask for them themselves",
            failed,
            asked,
            url,
            why,
        )

    def refresh_failed(self, name: str, why: str, route: str = MANAGER) -> None:
        """A background run of the origin failed; the entry in place stays until it ends.

        Args:
            name: The route or key.
            why: What went wrong.
            route: The route; lines about the same one are joined.
        """
        self.failures["refresh"] += 1
        self._tell("refresh", route=route, state="failed")
        if self._troubles.begins("background refresh fails", route):
            logger.warning(
                "background refresh of %s failed: %s; the stored copy stays until its lifetime "
                "ends",
                name,
                why,
            )

    def stood_in(self, name: str, error: BaseException | None, route: str = MANAGER) -> None:
        """A stale entry was served because the origin failed.

        Args:
            name: The route or key.
            error: What it raised, which is reported nowhere else; None if it answered 5xx.
            route: The route; lines about the same one are joined.
        """
        self.failures["origin"] += 1
        self._tell("stale", route=route, error=type(error).__name__ if error else "5xx")
        if error is not None and self._troubles.begins("origin fails, stale copies served", route):
            logger.error("origin of %s failed; a stale copy was served", name, exc_info=error)

    def beat_failed(self, error: Exception, *, said: bool) -> None:
        """This instance could not tell the others of itself.

        Args:
            error: What went wrong.
            said: Whether the log, which is in the same place, has said so already.
        """
        self.failures["heartbeat"] += 1
        if not said and self._troubles.begins("heartbeat fails", "heartbeat"):
            logger.warning(
                "heartbeat not stored: %s; CacheManager.instances() does not show this process",
                error,
            )

    def start_failed(self, error: BaseException) -> None:
        """The log could not be followed at all."""
        self.failures["start"] += 1
        logger.error("the invalidation log could not be started", exc_info=error)

    def worker_failed(self, what: str, error: Exception) -> None:
        """This worker cannot be asked by the others of this machine, or has failed to answer.

        Args:
            what: `"workers"` or `"worker-answer"`.
            error: Why.
        """
        self.failures[what] += 1
        if self._troubles.begins(f"{what} fails", UNROUTED):
            logger.warning(
                "%s: %s: %s; figures of several workers are without this one's",
                what,
                type(error).__name__,
                error,
            )

    def tracing_failed(self, error: Exception) -> None:
        """OpenTelemetry has failed; the request that a span was about goes on.

        Args:
            error: What it raised.
        """
        self.failures["tracing"] += 1
        if self._troubles.begins("tracing fails", UNROUTED):
            logger.warning(
                "tracing: %s: %s; traces are without some spans of the cache",
                type(error).__name__,
                error,
            )

    def encoding_failed(self, coding: str, error: Exception) -> None:
        """A response could not be compressed; logged the first time, as it may happen to each."""
        self.failures["compression"] += 1
        if self.failures["compression"] == 1:
            logger.error(
                "a response could not be compressed by %s; clients get it uncompressed",
                coding,
                exc_info=error,
            )

    def broken(self, where: str, error: BaseException) -> None:
        """The cache itself broke; the application answers alone."""
        self.failures["internal"] += 1
        logger.error("the cache broke in %s; the application answers alone", where, exc_info=error)


def _first_ten(names: Sequence[str]) -> str:
    """Names in a line that stays readable."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{', '.join(names[:10])}{more}"
