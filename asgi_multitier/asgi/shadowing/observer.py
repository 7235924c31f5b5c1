"""What a cache observes: requests, their answers and mutations, told to the ledger of its manager.

A request waits for no more than to be looked up. All else is done after its response, in pieces;
what the next request of the same key would find is stored before that is looked up.
"""

import asyncio
from asyncio.events import _get_running_loop as loop_here
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from functools import partial
from itertools import count
from typing import Final

from ..._types import Scope, Send
from ...engine.mutations import UnderWay
from ...entry import Entry
from ...manager.manager import CacheManager
from ...policy.key import storage_key
from ...policy.observed import is_stream
from ...policy.reasons import Reason
from ...policy.reuse import is_origin_failure
from ...selectors import aliased
from ...shadow import Answer, Edit, Observation
from ..entries import objection_of
from ..plan import Plan
from ..plans import Plans
from .answers import Content
from .budget import Budget
from .curiosity import Curiosity
from .exchange import COALESCED, HIT, MISS, STALE, Exchange
from .fingerprints import Fingerprints
from .later import Later
from .meeting import Meeting, RequestFor
from .places import SMALL
from .store import Kept, Store
from .storing import Storing
from .traits import TraitsReader
from .verdicts import Verdicts

WAITING: Final = 1_000
"""Exchanges and mutations that wait to be worked on; of more, nothing is noted."""

CONTENT: Final = 4 * 1024 * 1024
"""Bytes of content that wait; of more, no more than the digest is kept, at once."""

AT_ONCE: Final = 8
"""Answers of one target whose text is read before the next request for it goes on."""

GRACE: Final = 1.0
"""Seconds in which what another process has dropped is told here, while the log is healthy."""


class Observer:
    """Observes for one engine: one story, from a request's arrival to what is told of it.

    Args:
        manager: The cache.
        plans: Makes plans.
        request_for: Makes requests.
        secret: Signs the positions that clients carry; None if they carry none.

    Attributes:
        engine: The engine.
    """

    def __init__(
        self,
        manager: CacheManager,
        plans: Plans,
        request_for: RequestFor,
        secret: bytes | None,
    ) -> None:
        engine = self.engine = manager.engine
        self._manager = manager
        self._fingerprints = Fingerprints()
        self._traits = TraitsReader(self._fingerprints, plans.watch)
        self._store = Store(engine, manager.config.shadow_bytes // 2)
        self._meeting = Meeting(engine, plans, request_for, secret, self._store)
        self._storing = Storing(engine, self._store)
        self._verdicts = Verdicts()
        self._curiosity = Curiosity(engine.clock)
        self._budget = Budget(asyncio.get_running_loop().time())
        self._later: Later[Exchange | UnderWay] = Later(self._work, WAITING, self._budget.spent)
        self._content = 0
        self._numbers = count(1)
        self._leaders: dict[str, Exchange] = {}
        self._unstored: dict[str, list[Exchange]] = {}
        self._ruled: dict[str, object] = {}
        self._timer: asyncio.TimerHandle | None = None
        engine.mutations.listen(self.mutated)
        manager.on_report(self.told)
        # Of several middlewares with one manager, the first tells what all are told.
        self._tells_edits = not engine.mutations.noted
        engine.mutations.noted = True

    @property
    def unseen(self) -> int:
        """How many exchanges were not noted: too much waited, or their targets are left out."""
        return self._later.refused + self._budget.passed

    @property
    def share(self) -> float:
        """The share of targets that are observed."""
        return self._budget.share

    def takes(self, plan: Plan) -> bool:
        """Whether requests of a target are observed at present."""
        return self._budget.takes(plan.key)

    def __repr__(self) -> str:
        return f"<Observer {len(self._store)} entries, {len(self._later)} waiting>"

    # A request.

    async def begin(self, plan: Plan, scope: Scope, send: Send) -> Exchange:
        """A request has come; it goes to the application next."""
        engine = self.engine
        limit = engine.config.max_entry
        short = limit if plan.policy.tags_from else SMALL
        content = Content(self._fingerprints, limit, short)
        exchange = Exchange(plan, scope, send, content, engine.clock, engine.wall())
        request = await self._meeting.admitted(exchange)
        if isinstance(request, Reason):
            exchange.would = request
            exchange.comparable = scope["method"] == "GET" and request is not Reason.GUARD
            return exchange
        self._meeting.take(exchange, request)
        if request.primary in self._unstored:
            waiting = tuple(self._unstored[request.primary])
            for place, before in enumerate(waiting):
                self._settle(before, read=len(waiting) - place <= AT_ONCE)
        self._meeting.look(exchange, request)
        if exchange.would == MISS and exchange.seed is not None and plan.policy.coalesce:
            leader = self._leaders.setdefault(exchange.key, exchange)
            if leader is not exchange and leader.seed is not None:
                if engine.index.permits(leader.seed):
                    exchange.would, exchange.leader = COALESCED, leader
                else:
                    self._leaders[exchange.key] = exchange
        return exchange

    def end(self, exchange: Exchange, scope: Scope, *, confirmed: bool) -> None:
        """The application has returned or raised, or was cancelled.

        Args:
            exchange: The exchange.
            scope: The scope that the application got.
            confirmed: Whether its router chose the endpoint that was predicted.
        """
        request, seed, engine = exchange.request, exchange.seed, self.engine
        if self._leaders.get(exchange.key) is exchange:
            del self._leaders[exchange.key]
        if not exchange.ended:
            exchange.ended, exchange.flaw = engine.clock(), exchange.flaw or Reason.INCOMPLETE
        if exchange.has_body:
            exchange.would, exchange.seed, exchange.comparable = Reason.REQUEST_BODY, None, False
        elif seed is not None and request is not None and exchange.outside is not None:
            objection = request.objection() or objection_of(exchange.outside, request, scope)
            exchange.objection = objection if confirmed else Reason.MISMATCH
        if exchange.slot is not None:
            exchange.valid = engine.index.permits(exchange.slot.entry)
        if seed is not None:
            exchange.lasted = engine.index.permits(seed)
        if len(engine.mutations):
            exchange.mutations = engine.mutations.under_way
        if not exchange.status or not self._has_room(exchange) or not self._later.add(exchange):
            exchange.judged = True
            return
        self._content += exchange.content.kept
        if exchange.seed is not None and request is not None:
            self._unstored.setdefault(request.primary, []).append(exchange)

    def _has_room(self, exchange: Exchange) -> bool:
        """Whether the content can wait, or is not needed."""
        content = exchange.content
        if self._content + content.kept <= CONTENT:
            return True
        if exchange.plan.policy.tags_from:
            self._later.refused += 1
            return False
        content.digest(exchange.status)
        return True

    def mutated(self, mutation: UnderWay) -> None:
        """A mutation has ended, here or, as far as it is known, in another process."""
        loop = self._manager.loop
        if loop is not None and loop is not loop_here():
            with suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(self.mutated, mutation)
            return
        if loop is None:
            return
        self._verdicts.ended(mutation, loop.time())
        if mutation.succeeded and self._tells_edits:
            self._later.add(mutation)

    async def told(self) -> int:
        """Work on all that waits, in pieces; how many answers are still compared."""
        await self._later.rest()
        return len(self._verdicts)

    def finish(self) -> None:
        """Work on all that waits, at once."""
        self._later.all()

    async def close(self) -> None:
        """The cache ends: what is not known by now is not told."""
        self.finish()
        self._verdicts.give_up()
        self._leaders.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What is done afterwards.

    def _work(self, one: Exchange | UnderWay) -> None:
        try:
            if isinstance(one, UnderWay):
                self._tell_edit(one)
            else:
                self._settle(one)
                self._tell(one)
        except Exception as error:  # noqa: BLE001  # nothing that is only observed fails
            self.engine.events.broken("observing a request", error)

    def _settle(self, exchange: Exchange, *, read: bool = True) -> None:
        """Digest an answer, and store what would be stored of it; once.

        Args:
            exchange: What has ended.
            read: Whether there is time to read what stands where.
        """
        if exchange.judged:
            return
        exchange.judged = True
        request, policy = exchange.request, exchange.plan.policy
        if request is not None and (same := self._unstored.get(request.primary)) is not None:
            if exchange in same:
                same.remove(exchange)
            if not same:
                del self._unstored[request.primary]
        exchange.number = next(self._numbers)
        text = exchange.content.text if policy.tags_from else None
        kept = exchange.content.kept
        digest_of_key = storage_key(exchange.key)
        stored = exchange.seed is not None
        present = None if exchange.slot is None else exchange.slot.replay
        answer = exchange.content.answer(
            exchange.status,
            exchange.lines,
            lambda digest: self._curiosity.wants(digest_of_key, digest, stored=stored) and read,
            expected=None if present is None else present.answer,
        )
        self._content -= kept
        if exchange.flaw is None:
            exchange.answer = answer
        exchange.entry = self._storing.take(exchange, exchange.answer, text)

    def _tell(self, exchange: Exchange) -> None:
        """Tell the ledger of an exchange, once it is known whether a difference counts."""
        slot, answer = exchange.slot, exchange.answer
        if answer is not None and not _is_compared(exchange, answer):
            answer = None
        kept: Kept | None = None
        if slot is not None and exchange.would in (HIT, STALE):
            kept = slot.replay
        tell = partial(self._observed, exchange, answer, kept)
        if kept is None or slot is None or answer is None:
            tell(False)
        elif kept.answer.digest == answer.digest:
            tell(True)
        elif not exchange.valid:
            tell(False)
        else:
            self._ask(slot.entry, exchange.mutations, tell)

    def _ask(self, entry: Entry, mutations: list[UnderWay], tell: Callable[[bool], None]) -> None:
        """Tell whether a difference counts, when that is known."""
        loop = asyncio.get_running_loop()
        now, alone = loop.time(), getattr(self.engine.log, "is_alone", False)
        self._verdicts.ask(entry, mutations, now if alone else now + GRACE, now, tell)
        if self._timer is None and not alone and len(self._verdicts):
            self._timer = loop.call_later(GRACE, self._look, context=Context())

    def _look(self) -> None:
        """Tell what another process would have dropped by now, if it did."""
        loop = asyncio.get_running_loop()
        self._timer = None
        self._verdicts.look(loop.time())
        if len(self._verdicts):
            self._timer = loop.call_later(GRACE, self._look, context=Context())

    def _observed(
        self, exchange: Exchange, answer: Answer | None, kept: Kept | None, counts: bool
    ) -> None:
        # A verdict may be told within another request, which does not fail by that.
        try:
            self._tell_request(exchange, answer, kept, counts)
        except Exception as error:  # noqa: BLE001  # nothing that is only observed fails
            self.engine.events.broken("observing a request", error)

    def _tell_request(
        self, exchange: Exchange, answer: Answer | None, kept: Kept | None, counts: bool
    ) -> None:
        plan, scope = exchange.plan, exchange.scope
        entry: Entry | None = exchange.entry
        if kept is not None and exchange.slot is not None:
            entry = exchange.slot.entry
        method = scope["method"]
        label = f"{'GET' if method == 'HEAD' else method} {plan.resolved.label}"
        self._rule(label, plan)
        request = exchange.request
        self._manager.observed(
            Observation(
                route=label,
                key=storage_key(exchange.key),
                path=scope["path"] if request is None else request.path,
                began=exchange.began,
                ended=exchange.ended,
                traits=self._traits.read(scope, plan),
                answer=answer,
                would=str(exchange.would),
                lifetime=None if entry is None else entry.fresh_until - entry.created,
                tags=frozenset() if entry is None else _tags_of(entry),
                hit=0 if kept is None else kept.number,
                served=kept.answer if kept is not None and counts else None,
                number=exchange.number,
            ),
            plan.tally,
        )

    def _rule(self, label: str, plan: Plan) -> None:
        """Tell the ledger which rule a route has, once."""
        policy = plan.resolved.policy
        if label in self._ruled and self._ruled[label] is policy:
            return
        if len(self._ruled) >= WAITING:
            self._ruled.clear()
        self._ruled[label] = policy
        self._manager.ledger.ruled(label, policy)

    def _tell_edit(self, mutation: UnderWay) -> None:
        ended = mutation.began if mutation.ended is None else mutation.ended
        answered = ended if mutation.answered is None else mutation.answered
        selectors = tuple(mutation.selectors)
        self._manager.ledger.edited(
            Edit(
                route=mutation.route,
                path=mutation.path,
                began=mutation.began,
                answered=answered,
                ended=ended,
                selectors=tuple(f"{selector.kind}:{selector.text}" for selector in selectors),
                dropped=self._store.dropped_by(selectors, mutation.began) if selectors else 0,
            )
        )


_WITHOUT: Final = (206, 304, 429)
"""Statuses of answers that say nothing of the content: a part of it, or none. Nor does a failure,
and what would be sent in its place is no wrong answer."""


def _is_compared(exchange: Exchange, answer: Answer) -> bool:
    """Whether an answer says what others of its key are to be."""
    if not exchange.comparable or answer.status in _WITHOUT:
        return False
    return not (is_origin_failure(answer.status) or is_stream(answer.media_type))


def _tags_of(entry: Entry) -> frozenset[str]:
    """The tags that somebody has given; the first may be a second path."""
    return frozenset(entry.tags[1:] if aliased(entry.tags) else entry.tags)
