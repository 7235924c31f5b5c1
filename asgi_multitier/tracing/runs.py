"""The span of one run of an origin."""

from collections.abc import Callable, Mapping
from contextvars import Context
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from opentelemetry.trace import Span, SpanContext, StatusCode

from .attributes import ERROR, OUTCOME, REASON, RESULT, WAITERS
from .remote import written

P = ParamSpec("P")
T = TypeVar("T")

Failed: TypeAlias = Callable[[Exception], None]
"""Counts that OpenTelemetry has failed."""

Lost: TypeAlias = Callable[[str, float, str], None]

Told: TypeAlias = Mapping[str, str | int | float | bool | None]
"""Attributes by name; what is None is not told."""


class _Counts(Protocol):
    @property
    def failed(self) -> Failed: ...


S = TypeVar("S", bound=_Counts)


def harmless(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T | None]:
    """Let a method return None where it raises: the request that it is about goes on."""

    @wraps(method)
    def guarded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  # a user's provider, processor or sampler
            self.failed(error)
            return None

    return guarded


def tell(span: Span, told: Told) -> None:
    """Set the attributes that are known."""
    span.set_attributes({name: value for name, value in told.items() if value is not None})


class RunTrace:
    """The span of one run: a fill, a refresh, or an audit.

    Args:
        span: The span, which has begun.
        asker: The span of the request that waits for it; None if none does.
        lost: Tells that it has waited for another process: what that calls its span, seconds,
            and what became of the waiting.
        inside: What the run's task is to run in: there the span is the current one.
        failed: Counts that OpenTelemetry has failed.

    Attributes:
        lost, inside, failed: As above.
        span_context: What a link to it needs.
        recording: Whether anything that is told of it is kept.
    """

    __slots__ = (
        "_asker",
        "_span",
        "failed",
        "inside",
        "lost",
        "recording",
        "span_context",
    )

    def __init__(
        self, span: Span, asker: Span | None, lost: Lost, inside: Context, failed: Failed
    ) -> None:
        self._span = span
        self._asker = asker
        self.lost: Lost = lost
        self.failed: Failed = failed
        self.inside: Context = inside
        self.span_context: SpanContext = span.get_span_context()
        self.recording: bool = span.is_recording()

    @property
    def traceparent(self) -> str:
        """How another process names it; "" if no trace shows it."""
        return written(self.span_context)

    @harmless
    def tell(self, told: Told) -> None:
        """Tell something of it; what is told last counts."""
        if self.recording:
            tell(self._span, told)

    @harmless
    def event(self, name: str) -> None:
        """Something has happened in it just now."""
        if self.recording:
            self._span.add_event(name)

    def refused(self, reason: str) -> None:
        """What it has brought is not stored."""
        self.tell({RESULT: "refused", REASON: reason})

    @harmless
    def led(self, outcome: str) -> None:
        """The request that waits for it is answered by something else than the origin."""
        if self._asker is not None and self._asker.is_recording():
            tell(self._asker, {OUTCOME: outcome})

    def answers(self, waiters: int) -> None:
        """It answers this many requests, besides the one that began it."""
        self.tell({WAITERS: waiters})

    def stood_in(self, error: BaseException | None) -> None:
        """Something stale answers in its place; the error is None if the origin answered 5xx."""
        self.tell({RESULT: "stale"})
        self._fail("5xx" if error is None else type(error).__name__)

    @harmless
    def _fail(self, name: str) -> None:
        if self.recording:
            # The text of an exception may hold anything.
            tell(self._span, {ERROR: name})
            self._span.set_status(StatusCode.ERROR)

    @harmless
    def end(self, error: BaseException | None, *, cancelled: bool) -> None:
        """The run has ended: with an error, cancelled, or neither."""
        if cancelled:
            self.tell({RESULT: "cancelled"})
        elif error is not None:
            self.tell({RESULT: "error"})
            self._fail(type(error).__name__)
        self._span.end()
