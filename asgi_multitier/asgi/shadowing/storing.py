"""What the cache would store of an answer: the decisions of a fill, after the answer has left."""

from msgspec.structs import replace

from ...engine.engine import Engine
from ...entry import Entry, StoredResponse
from ...policy.ranges import is_complete
from ...policy.reasons import Reason
from ...policy.request import Field
from ...policy.reuse import displaces, is_origin_failure, usable_on_error
from ...policy.shared_lines import shared
from ...policy.storing import Store as Verdict
from ...policy.storing import judge
from ...shadow import Answer
from ..entries import UnfitTags, entry_of
from ..fill.keeping import as_variant
from ..request import Request
from .exchange import COALESCED, HIT, MISS, STALE, Exchange
from .store import Kept, Store

_EMPTY = (204, 304)
"""Statuses of answers without content, whatever their length says (RFC 9110 §8.6)."""


class Storing:
    """Decides what would be stored, and stores that.

    Args:
        engine: The cache.
        store: What it would hold.
    """

    __slots__ = ("_engine", "_store")

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine = engine
        self._store = store

    def take(self, exchange: Exchange, answer: Answer | None, text: bytes | None) -> Entry | None:
        """Decide about one exchange, and note what would have become of it.

        Args:
            exchange: The exchange, which has ended.
            answer: Its answer; None if that is beyond the bound.
            text: The content, where the rule reads tags out of it.

        Returns:
            The entry that would be stored; None if none would.
        """
        request, seed = exchange.request, exchange.seed
        if request is None or seed is None:
            return None
        verdict = self._judge(exchange, request, answer)
        found: Entry | Reason
        if isinstance(verdict, Verdict) and answer is not None:
            found = self._kept(exchange, request, seed, verdict, answer, text)
        else:
            found = verdict if isinstance(verdict, Reason) else Reason.OVERSIZED
        if isinstance(found, Reason):
            self._refused(exchange, found)
            return None
        return found

    def _judge(
        self, exchange: Exchange, request: Request, answer: Answer | None
    ) -> Verdict | Reason:
        objection = exchange.flaw or exchange.objection
        if objection is not None:
            return objection
        lines = exchange.lines()
        verdict = judge(
            method="GET",
            status=exchange.status,
            headers=lines,
            request_headers=request.headers,
            terms=exchange.plan.terms,
            now=exchange.asked_at + (exchange.ended - exchange.began),
            request_time=exchange.asked_at,
            origin=exchange.plan.origin,
        )
        if isinstance(verdict, Reason):
            return verdict
        size = exchange.content.size
        if not is_complete(exchange.status, lines, size) and not (
            exchange.status in _EMPTY and not size
        ):
            return Reason.INCOMPLETE
        return verdict if answer is not None else Reason.OVERSIZED

    def _kept(
        self,
        exchange: Exchange,
        request: Request,
        seed: Entry,
        verdict: Verdict,
        answer: Answer,
        text: bytes | None,
    ) -> Entry | Reason:
        """Keep what would be stored: a digest stands in the place of the content."""
        digest = answer.digest.to_bytes(8, "big")
        response = StoredResponse(
            status=exchange.status,
            headers=shared(verdict.headers),
            body=digest if text is None else text,
            etag=verdict.etag,
            last_modified=verdict.last_modified,
        )
        try:
            whole = entry_of(seed, response, verdict, exchange.plan, exchange.ended)
            if text is not None:
                whole = replace(whole, payload=replace(response, body=digest))
            entry, marker = as_variant(whole, request, verdict.vary, exchange.marker)
        except UnfitTags as unfit:
            if isinstance(unfit.__cause__, Exception):
                self._engine.events.callback_failed(
                    "tags_from", unfit.__cause__, exchange.plan.resolved.label
                )
            return Reason.TAGS
        if not self._waits(exchange):
            kept = self._store.keep(entry, marker, Kept(exchange.number, answer))
            exchange.kept = kept
            if exchange.lasted and not kept:
                self._store.missed(entry)
        return entry

    def _waits(self, exchange: Exchange) -> bool:
        """Whether it would not have asked the application, as another request did."""
        leader = exchange.leader
        return leader is not None and (not leader.judged or leader.kept)

    def _refused(self, exchange: Exchange, reason: Reason) -> None:
        """Nothing is stored; an answer may take the place of what is, or the other way round."""
        slot = exchange.slot
        partial = exchange.comparable is False or exchange.status == 304
        if exchange.would in (MISS, COALESCED) and not partial:
            # `stale` is said of those that would be answered with something stale.
            exchange.would = Reason.NO_FRESHNESS if reason is Reason.STALE else reason
        if slot is None or reason is Reason.INCOMPLETE:
            return
        if is_origin_failure(exchange.status):
            entry = slot.entry
            asked = exchange.would not in (HIT, STALE)
            if asked and usable_on_error(entry, exchange.ended):
                exchange.would = STALE if self._engine.index.permits(entry) else reason
        elif displaces(exchange.status) and Field.RANGE not in self._fields(exchange):
            self._store.forget(slot.entry.key)

    @staticmethod
    def _fields(exchange: Exchange) -> "frozenset[Field]":
        return frozenset(exchange.request.found) if exchange.request is not None else frozenset()
