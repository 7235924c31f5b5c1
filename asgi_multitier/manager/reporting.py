"""What shadow mode and audits have found, and telling it."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .._loading import loaded
from ..errors import ConfigError
from ..events import Tally
from ..workers import Answer
from .home import at_home
from .lifecycle import Lifecycle
from .listeners import Listeners

if TYPE_CHECKING:
    from ..shadow import Ledger, Observation
    from ..shadow.joined import CacheReport, Scope, Teller
    from ..shadow.reading import Part

QUESTION = "report"
"""What workers are asked; with `clear`, they begin again."""

PATIENCE = 8.0
"""Seconds that the others may take to find causes: less than a socket waits."""

_SCOPES = ("process", "host")


class Reporting(Lifecycle):
    """Reports. See `CacheManager`."""

    _made_ledger: "Ledger | None" = None
    _observed_since = 0.0
    _has_shadow_rules = False
    _analysis: "asyncio.Task[Part] | None" = None

    @property
    def ledger(self) -> "Ledger":
        """What was observed here. It belongs to the event loop that the cache lives in."""
        return self._made_ledger or self._once("_made_ledger", self._make_ledger)

    def _make_ledger(self) -> "Ledger":
        from ..shadow import Ledger

        self._observed_since = self._clock()
        self.on_renewal(self._begin_again)
        return Ledger(self.config.shadow_bytes // 2)  # the other half: entries as they would be

    def _begin_again(self) -> None:
        self.ledger.clear()
        self._observed_since = self._clock()

    @cached_property
    def _before_reports(self) -> Listeners[Awaitable[int]]:
        return Listeners()

    def on_report(self, tell: Callable[[], Awaitable[int]]) -> None:
        """Call `tell`, a method, before each report, while its object lives.

        It notes what is known by then, and returns how many answers are still compared.
        """
        self._before_reports.add(tell)

    def observed(self, one: "Observation", tally: Tally) -> None:
        """Note a request that the application has answered, and what the cache would have done.

        Args:
            one: The request.
            tally: Where the requests of its route are counted.
        """
        from ..shadow.outcomes import outcome_of  # who has observed has loaded it

        tally.shadow[outcome_of(one)] += 1
        self.ledger.observed(one)

    def _begun(self) -> None:
        super()._begun()
        self.workers.answers(QUESTION, self._report_to_others)

    @at_home
    async def report(self, *, scope: "Scope" = "process", clear: bool = False) -> "CacheReport":
        """What shadow mode and audits have found: figures, wrong answers and causes, by route.

        Causes are found in a thread. `.as_json()` of it is ready for JSON.

        Args:
            scope: `"process"`, or `"host"` for all workers of this machine: their figures are
                added, and it is told which of them have not answered.
            clear: Whether to begin again: what was observed until now is in this report alone.

        Raises:
            ConfigError: If there is no such scope.
        """
        if scope not in _SCOPES:
            raise ConfigError.of("scope", scope, "'process' or 'host'", where="CacheManager.report")
        if scope == "process":
            return self._joined(scope, await self._report_here(clear=clear), [])
        own, others = await asyncio.gather(
            self._report_here(clear=clear),
            self.workers.ask_others(QUESTION, {"clear": clear}, PATIENCE),
        )
        return await asyncio.to_thread(self._joined, scope, own, others)

    def _joined(self, scope: "Scope", own: "Part", others: Iterable[Answer]) -> "CacheReport":
        """What all have found. With many routes it takes a while, so it may run in a thread."""
        from ..shadow.joined import Teller, cache_report

        told = [(Teller(worker=self.workers.number, pid=own.pid), own), *map(_told, others)]
        told.sort(key=lambda pair: -1 if pair[0].worker is None else pair[0].worker)
        parts = [part for _, part in told if part is not None]
        return cache_report(self.namespace, scope, parts, [teller for teller, _ in told])

    async def _report_here(self, *, clear: bool) -> "Part":
        """What was found here. Those who ask while causes are found get the same answer."""
        running = self._analysis
        if clear or running is None or running.get_loop() is not asyncio.get_running_loop():
            running = self.spawn(self._analysed(clear=clear), "asgi-multitier report")
            if not clear:
                self._analysis = running
                running.add_done_callback(self._end_analysis)
        return await asyncio.shield(running)

    def _end_analysis(self, ended: "asyncio.Task[Part]") -> None:
        if self._analysis is ended:
            self._analysis = None

    async def _analysed(self, *, clear: bool) -> "Part":
        await loaded("asgi_multitier.shadow.joined")
        from ..shadow.reading import Part

        pending = sum(await asyncio.gather(*self._before_reports.call()))
        snapshot, seconds = self.ledger.snapshot(), self._clock() - self._observed_since
        policies = {one.route: one.policy for one in snapshot.routes if one.policy is not None}
        if any(policy.shadow for policy in policies.values()):
            self._has_shadow_rules = True
        if clear:
            self._begin_again()
        report = await asyncio.to_thread(snapshot.report)
        on = self.mode == "on" and (self._has_shadow_rules or self.config.audit is not None)
        observes = on or self.mode == "shadow"
        return Part(
            report=report,
            observes=observes,
            seconds=seconds,
            pending=pending,
            pid=os.getpid(),
            policies=policies,
        )

    async def _report_to_others(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """What another worker of this machine is told."""
        own = await self._report_here(clear=asked.get("clear") is True)
        from ..shadow.joined import part_json

        return part_json(own)


def _told(answer: Answer) -> "tuple[Teller, Part | None]":
    """What another worker has told; one of another release may tell something else."""
    from ..shadow.joined import Teller
    from ..shadow.reading import read_part

    part = read_part(answer.value)
    missing = "" if part is not None else answer.missing or "failed"
    pid = None if part is None else part.pid
    return Teller(worker=answer.worker, pid=pid, missing=missing), part
