"""What the application asks of a cache."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from ..coherence.log import Operation
from ..config.process import CacheConfig, Mode
from ..engine.engine import Engine
from ..engine.health import Health
from ..entry import Born
from ..explain import Explanation
from ..explain.question import HeadersOption
from ..explain.routes import RoutesReport
from ..instances import Fleet, Seen
from ..metrics import Metrics
from ..selectors import Selector
from ..shadow.joined import CacheReport, Scope
from ..warming.report import WarmPart
from ..warming.targets import TargetOption
from ..workers import Workers

T = TypeVar("T")

Begin: TypeAlias = Callable[[Sequence[Selector]], Operation]


class Home(Protocol):
    """Where a cache lives."""

    async def run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a call in the event loop that the cache lives in, or here if it does not run."""


class Administered(Protocol):
    """A cache, as far as operators are concerned: see `CacheManager`."""

    mode: Mode
    config: CacheConfig
    origins: Mapping[str, str]
    workers: Workers

    @property
    def engine(self) -> Engine:
        """Its parts."""

    @property
    def home(self) -> Home:
        """Where it lives."""

    @property
    def namespace(self) -> str:
        """What separates it from others."""

    @property
    def metrics(self) -> Metrics:
        """Its figures."""

    @property
    def running(self) -> bool:
        """Whether it was started and not closed."""

    @property
    def starting(self) -> bool:
        """Whether it was started, and the log has not answered yet."""

    async def instances(self) -> Fleet:
        """All instances that share its log."""

    async def seen(self, position: Born | None = ..., wait: float = ...) -> Seen:
        """Which instances have read the log up to a position."""

    async def read_routes(self) -> RoutesReport:
        """The routes of its application, and what is odd about them; made in a thread."""

    async def report(self, *, scope: Scope = ..., clear: bool = ...) -> CacheReport:
        """What shadow mode and audits have found."""

    async def explain(
        self,
        method: str = ...,
        url: str = ...,
        headers: HeadersOption = ...,
        *,
        body: bytes | None = ...,
        run_callables: bool = ...,
        shared: bool = ...,
        reveal: bool = ...,
    ) -> Explanation:
        """What would become of a request."""

    async def start(self) -> None:
        """Begin to follow the log."""

    async def close(self) -> None:
        """Release everything."""

    async def health(self) -> Health:
        """Ask every tier whether it answers."""

    @property
    def usual_origin(self) -> str | None:
        """The scheme and the host of most requests lately."""

    async def warm_part(
        self,
        targets: Iterable[TargetOption] | None,
        *,
        top: int,
        skip: int,
        seconds: float,
        patience: float,
        base_url: str | None = ...,
        concurrency: int = ...,
        rate: float = ...,
    ) -> WarmPart:
        """A part of a warm-up."""

    def named(
        self,
        *,
        keys: Iterable[str] = ...,
        tags: Iterable[str] = ...,
        paths: Iterable[str] = ...,
        below: Iterable[str] = ...,
        patterns: Iterable[str] = ...,
        routes: Iterable[tuple[Any, Mapping[str, object]]] = ...,
    ) -> list[Selector]:
        """The selectors of what is named."""

    def begin_with(self, settle: float = ...) -> Begin:
        """A function that puts selectors into force here."""

    def begin_invalidation(
        self, selectors: Sequence[Selector], begin: Begin
    ) -> "asyncio.Task[Born | None]":
        """Drop what the selectors name."""
