"""One audit: a hit is chosen, its client has its answer, the application is asked, both compared.

A wrong hit is one whose client got something else than the application answers to the same request
a moment later, though nothing has dropped what it got. So a verdict waits: for the mutations that
are under way in this process, and for a while, in which the log tells of those of other instances.
"""

import asyncio
from asyncio import sleep
from functools import partial
from typing import Final

from ...coherence.local import LocalLog
from ...engine.engine import Engine
from ...entry import Entry, Slot, StoredResponse
from ...events import Verdict
from ...policy.key import storage_key
from ..fill.question import WHOLE, scope_for_app
from ..plans import Plans
from ..request import Request
from ..shadowing.fingerprints import Fingerprints
from ..shadowing.traits import TraitsReader
from .asking import Asking, ask
from .causes import Causes
from .comparing import Pair, compared
from .dropping import Dropping

SETTLING: Final = 2.0
"""Seconds in which what other instances drop is known here, before a hit is said to be wrong."""

PATIENCE: Final = 30.0
"""Seconds that a verdict waits for mutations under way."""

PENDING: Final = 100
"""Verdicts that wait at a time; beyond them a hit that differs is inconclusive."""


class Auditor:
    """Audits hits of one middleware; `request.Auditing`.

    Args:
        plans: The plans of targets, and the cache.
    """

    def __init__(self, plans: Plans) -> None:
        manager = plans.manager
        self._manager = manager
        self._waiting = 0
        self._known: tuple[Engine, Causes] | None = None
        self._fingerprints = Fingerprints()
        self._traits = TraitsReader(self._fingerprints, plans.watch)
        self._dropping = Dropping(manager) if manager.config.on_wrong == "drop" else None

    @property
    def _engine(self) -> Engine:
        """The cache, which is put together at its first use, and may be replaced."""
        return self._manager.engine

    @property
    def _causes(self) -> Causes:
        """What is known of this cache's requests."""
        engine = self._manager.engine
        if self._known is None or self._known[0] is not engine:
            self._known = engine, Causes(self._manager)
            if not engine.audits.noted:
                engine.audits.noted = True
                engine.mutations.listen(self._known[1].mutated)
        return self._known[1]

    # Called by exchanges and fills.

    def chooses(self) -> bool:
        """Whether the hit that is being answered is audited; then `audit` is called."""
        return self._engine.audits.chooses()

    def filled(self, request: Request, slot: Slot) -> None:
        """What the application has answered to this request was stored."""
        if isinstance(slot.entry.payload, StoredResponse):
            # As the application got it, without the cookies and parameters that were left out.
            scope = scope_for_app(request, WHOLE, background=False)
            self._causes.filled(slot.entry, self._traits.read(scope, request.plan))

    def audit(self, request: Request, slot: Slot) -> None:
        """Begin, now that the client has its answer."""
        route = request.plan.resolved.label
        self._engine.audits.launch(partial(self._audit, request, slot.entry), route)

    # In a task of its own.

    async def _audit(self, request: Request, entry: Entry) -> None:
        engine = self._engine
        payload = entry.payload
        assert isinstance(payload, StoredResponse)  # noqa: S101  # a hit has answered a request
        asking = Asking(engine.config.max_entry)
        began = engine.clock()
        try:
            traits = self._traits.read(request.scope, request.plan)
            await ask(engine, request, asking, entry.key)
        finally:
            engine.audits.release()
        times = began, engine.clock()
        pair = compared(self._fingerprints, payload, asking)
        verdict = await self._verdict(entry, pair)
        plan, dropped = request.plan, False
        if verdict is Verdict.WRONG and self._dropping is not None:
            dropped = await self._dropping.drop(entry, plan.resolved.label)
        plan.tally.audits[verdict.value] += 1
        if pair is None or verdict is Verdict.INCONCLUSIVE:
            return
        name = f"{request.asked_by} {plan.resolved.label}"
        self._causes.audited(name, plan.policy, entry, traits, times, pair)
        if verdict is Verdict.WRONG:
            found, key = await self._causes.of(name), storage_key(entry.key)
            told = found.cause.value, found.name
            engine.events.wrong_hit(plan.resolved.label, key, *told, dropped=dropped)

    async def _verdict(self, entry: Entry, pair: Pair | None) -> Verdict:
        if pair is None:
            return Verdict.INCONCLUSIVE
        if pair.equal:
            return Verdict.RIGHT
        if not self._stands(entry) or self._waiting >= PENDING:
            return Verdict.INCONCLUSIVE
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE):
                await self._engine.mutations.settled()
            if not isinstance(self._engine.log, LocalLog):
                await sleep(SETTLING)
        except TimeoutError:
            return Verdict.INCONCLUSIVE
        finally:
            self._waiting -= 1
        return Verdict.WRONG if self._stands(entry) else Verdict.INCONCLUSIVE

    def _stands(self, entry: Entry) -> bool:
        """Whether nothing that is known has dropped it, and all that is told is known."""
        index = self._engine.index
        return index.settled and index.permits(entry)
