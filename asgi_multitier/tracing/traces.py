"""Spans of what a cache does, and attributes of the span of a request that it answers.

There is no span for a hit, and none for what passes by the cache. No attribute is made for a span
that is not recorded.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from time import time_ns
from typing import Literal, Protocol, TypeAlias, TypeVar

from opentelemetry.context import Context, attach, create_key, detach, get_value, set_value
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from .asking import MOST, askers
from .attributes import (
    COMMITTED,
    ERROR,
    KIND,
    NAMESPACE,
    PHASE,
    POSITION,
    RESULT,
    ROUTE,
    SELECTORS,
    TIER,
)
from .remote import read
from .runs import Failed, RunTrace, Told, harmless, tell

LONG_WAIT = 0.010
"""Seconds above which a wait has a span."""

_RUN = create_key("asgi_multitier-run")
"""In a context: the span of the run that it is inside of."""


RunKind: TypeAlias = Literal["fill", "refresh", "audit"]


class Position(Protocol):
    """A place in the invalidation log."""

    @property
    def seq(self) -> int: ...


P = TypeVar("P", bound=Position)


class Traces:
    """The spans of one cache.

    Args:
        tracer: Begins them.
        namespace: Of the cache: an attribute of each.
        failed: Counts that OpenTelemetry has failed; an attribute as well.
        round_trips: Whether round trips to shared tiers have spans; an attribute as well.
    """

    __slots__ = ("_namespace", "_tracer", "failed", "round_trips")

    def __init__(
        self, tracer: Tracer, namespace: str, failed: Failed, *, round_trips: bool
    ) -> None:
        self.round_trips: bool = round_trips
        self._tracer = tracer
        self._namespace = namespace
        self.failed: Failed = failed

    # Runs of an origin.

    @harmless
    def run(self, route: str, kind: RunKind) -> RunTrace:
        """Begin the span of a run.

        Args:
            route: The route that it is for.
            kind: What it is for. But for a fill no request waits: it has a trace of its own, with a
                link to the request that set it off.
        """
        asker = get_current_span()
        waits = kind == "fill" and get_value(_RUN) is not asker
        if kind == "fill":
            span = self._begin(f"cache fill {route}", route)
        else:
            links = _links([asker.get_span_context()])
            span = self._begin(f"cache {kind} {route}", route, Context(), links)
        with _ended_if_it_fails(span):
            inside = copy_context()
            inside.run(attach, _inside(span))
            return RunTrace(
                span,
                asker if waits else None,
                partial(self._lost, route),
                inside,
                self.failed,
            )

    @harmless
    def current(self) -> Span:
        """The current span, for what belongs to a run and has another task."""
        return get_current_span()

    @contextmanager
    def within(self, run: Span | None) -> Iterator[None]:
        """Make the span of a run the current one for the code inside."""
        token = self._enter(run)
        try:
            yield
        finally:
            self._leave(token)

    @harmless
    def _enter(self, run: Span | None) -> object:
        return None if run is None else attach(_inside(run))

    @harmless
    def _leave(self, token: object) -> None:
        if token is not None:
            detach(token)  # type: ignore[arg-type]  # what `attach` has returned

    # Waiting for one.

    def joined(self, route: str, run: RunTrace | None, seconds: float, result: str) -> None:
        """A request has waited for a run that another one had begun.

        Args:
            route: Its route.
            run: The run, if it has a span.
            seconds: How long.
            result: What became of the waiting.
        """
        leader = None if run is None else run.span_context
        self._waited(route, leader, seconds, "coalesce", result)

    def _lost(self, route: str, holder: str, seconds: float, result: str) -> None:
        """A run has waited for another process's."""
        self._waited(route, read(holder), seconds, "lease", result)

    @harmless
    def _waited(
        self, route: str, leader: SpanContext | None, seconds: float, kind: str, result: str
    ) -> None:
        if seconds <= LONG_WAIT:
            return
        now = time_ns()
        links = _links([] if leader is None else [leader])
        began = now - int(seconds * 1e9)
        span = self._begin(f"cache wait {route}", route, links=links, began=began)
        _end(span, {KIND: kind, RESULT: result}, failed=result == "error", at=now)

    # Invalidations.

    @contextmanager
    def dropping(
        self, route: str, phase: str, kinds: Iterable[str]
    ) -> Iterator[Callable[[P | None], P | None]]:
        """The span of an invalidation.

        Args:
            route: The route of the request that has changed something.
            phase: When: `"response"`, `"end"` or `"call"`.
            kinds: The kinds of its selectors.

        Returns:
            What is told the position of its record, None if that waits to be sent, and returns it.
        """
        begun = self._begin_drop(route, phase, kinds)

        def committed(position: P | None) -> P | None:
            if begun is not None:
                self._committed(begun[0], position)
            return position

        error: BaseException | None = None
        try:
            yield committed
        except BaseException as raised:
            error = raised
            raise
        finally:
            if begun is not None:
                self._end_drop(*begun, error)

    @harmless
    def _begin_drop(self, route: str, phase: str, kinds: Iterable[str]) -> tuple[Span, object]:
        span = self._begin(f"cache invalidate {route}", route)
        with _ended_if_it_fails(span):
            if span.is_recording():
                counts = {f"{SELECTORS}.{kind}": count for kind, count in Counter(kinds).items()}
                tell(span, {PHASE: phase, **counts})
            return span, attach(set_span_in_context(span))

    @harmless
    def _end_drop(self, span: Span, token: object, error: BaseException | None) -> None:
        detach(token)  # type: ignore[arg-type]  # what `attach` has returned
        self._end(span, error)

    @harmless
    def _committed(self, span: Span, position: Position | None) -> None:
        if span.is_recording():
            number = None if position is None else position.seq
            tell(span, {COMMITTED: position is not None, POSITION: number})

    # Round trips to shared tiers.

    @harmless
    def asks(self, askers: list[Span]) -> None:
        """Note the current span as one of those who ask for a round trip, if those have spans."""
        if self.round_trips and len(askers) < MOST:
            askers.append(get_current_span())

    @contextmanager
    def trip(self, operation: str, tier: str, level: int) -> Iterator[None]:
        """The span of a round trip: a child of the first that has asked for it, with links to all
        others. What no request has asked for has none.

        Args:
            operation: `"get"`, `"set"`, `"delete"` or `"ping"`.
            tier: The tier's name.
            level: Its level.
        """
        span = self._begin_trip(f"cache {operation} {tier}", level)
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            if span is not None:
                self._end(span, error)

    @harmless
    def _begin_trip(self, name: str, level: int) -> Span | None:
        asked = askers() or (get_current_span(),)
        known = [span for span in asked if span.get_span_context().is_valid]
        if not known:
            return None
        links = [Link(span.get_span_context()) for span in known[1:]]
        told: Told = {NAMESPACE: self._namespace, TIER: level}
        context = set_span_in_context(known[0])
        return self._start(name, told, context, links, kind=SpanKind.CLIENT)

    @harmless
    def _end(self, span: Span, error: BaseException | None) -> None:
        told = {} if error is None else {ERROR: type(error).__name__}
        _end(span, told, failed=error is not None)

    # The span of a request, which is somebody else's.

    @harmless
    def note(self, told: Callable[[], Told]) -> None:
        """Tell the current span something, if it is recorded.

        A run asks the application, which may ask the same cache: the run's span is not a request's.
        """
        span = get_current_span()
        if span.is_recording() and get_value(_RUN) is not span:
            tell(span, told())

    def _begin(
        self,
        name: str,
        route: str,
        context: Context | None = None,
        links: Sequence[Link] = (),
        began: int | None = None,
    ) -> Span:
        """Begin a span; a child of the current one unless a context is given."""
        told: Told = {NAMESPACE: self._namespace, ROUTE: route}
        return self._start(name, told, context, links, began)

    def _start(
        self,
        name: str,
        told: Told,
        context: Context | None,
        links: Sequence[Link],
        began: int | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        parent = get_current_span(context).get_span_context()
        if not parent.is_valid or parent.trace_flags.sampled:
            return self._tracer.start_span(name, context, kind, dict(told), links, began)
        # Most likely it is not recorded either.
        span = self._tracer.start_span(name, context, kind, None, links, began)
        with _ended_if_it_fails(span):
            if span.is_recording():
                tell(span, told)
            return span


def _end(span: Span, told: Told, *, failed: bool, at: int | None = None) -> None:
    try:
        if told and span.is_recording():
            tell(span, told)
            if failed:
                span.set_status(StatusCode.ERROR)
    finally:
        span.end(at)


@contextmanager
def _ended_if_it_fails(span: Span) -> Iterator[None]:
    """Leave no span open of which nothing else is told, as something about it has raised."""
    try:
        yield
    except Exception:
        span.end()
        raise


def _inside(run: Span) -> Context:
    """A context in which the span of a run is the current one."""
    return set_value(_RUN, run, set_span_in_context(run))


def _links(targets: Sequence[SpanContext]) -> list[Link]:
    return [Link(target) for target in targets if target.is_valid]
