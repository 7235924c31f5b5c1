"""From a response that may be stored to what the tiers hold, and to the flight's answer."""

from msgspec.structs import replace

from ..._types import Headers
from ...engine.engine import Engine
from ...engine.runs import Run
from ...entry import Entry, Slot, StoredResponse, Variants
from ...policy.headers import first, with_length, without
from ...policy.reasons import Reason
from ...policy.reuse import is_origin_failure
from ...policy.shared_lines import shared
from ...policy.storing import Store, judge
from ..entries import UnfitTags, entry_of
from ..replay import AGE, PARTIAL
from ..request import Request
from .answers import Answer, HeadAnswer, Overtaken, Passed, Personal, Stored


class Keeping:
    """Stores what a run brings, and answers the requests that wait for it.

    Args:
        engine: The cache.
        request: Whose request opened the flight.
        run: The flight's run.
        marker: What is known of the URL's variants.

    Attributes:
        marker: As above; another process may have found out more.
    """

    def __init__(
        self, engine: Engine, request: Request, run: "Run[Answer]", marker: Variants | None
    ) -> None:
        self._engine = engine
        self._request = request
        # As received: the application of a HEAD gets the same scope, and may edit it.
        self._request_headers = request.headers
        self._run = run
        self._flight = run.flight
        self.marker = marker

    def judge(
        self, status: int, headers: Headers, asked_at: float, *, answers: bool = True
    ) -> Store | Reason:
        """May this response be stored?

        Args:
            status: The status code.
            headers: The field lines.
            asked_at: Unix seconds at which the application was asked.
            answers: Whether the application has made it for this request: then the request has a
                say, by its `Authorization` and its directives.
        """
        try:
            return judge(
                method=self._request.asked_by,
                status=status,
                headers=headers,
                request_headers=self._request_headers if answers else (),
                terms=self._request.plan.terms,
                now=self._engine.wall(),
                request_time=asked_at,
                origin=self._request.plan.origin,
            )
        except Exception as error:  # noqa: BLE001  # the answer is good, if its client's alone
            self._engine.events.broken("judging a response", error)
            return Reason.BROKEN

    def keep(self, response: StoredResponse, store: Store) -> Slot | Reason:
        """Store in the tiers and answer the flight; why it is not stored, if it is not."""
        engine, run, request = self._engine, self._run, self._request
        engine.flights.land(run.flight)
        try:
            whole = entry_of(run.flight.seed, response, store, request.plan, engine.clock())
            entry, marker = as_variant(whole, request, store.vary, self.marker)
            kept = run.keep(entry)
        except UnfitTags as unfit:
            return self._unfit(unfit)
        except Exception as error:  # noqa: BLE001  # the answer is good whatever becomes of the copy
            engine.events.broken("storing a response", error)
            self._release(Passed(Reason.BROKEN))
            return Reason.BROKEN
        if kept is Reason.INVALIDATED:
            self._overtaken(entry)
        elif isinstance(kept, Reason):
            self._release(Passed(kept))
        else:
            if marker is not None:
                engine.stack.keep_variant(marker, entry.key, engine.config.max_variants)
            if request.auditing is not None:
                request.auditing.filled(request, kept)
            run.answered(Stored(kept))
            run.publisher.publish([entry] if marker is None else [marker, entry])
        return kept

    def _unfit(self, unfit: UnfitTags) -> Reason:
        """Refuse a response that cannot have its tags."""
        if isinstance(unfit.__cause__, Exception):
            self._engine.events.callback_failed(
                "tags_from", unfit.__cause__, self._request.plan.resolved.label
            )
        return self.refuse(Reason.TAGS)

    def _release(self, answer: Answer) -> None:
        """Answer the flight with what is not stored, here and in other processes."""
        if isinstance(answer, Passed):
            self._run.refused(answer.reason)
        elif isinstance(answer, Personal):
            self._run.refused(Reason.AUTHORIZATION)
        self._run.answered(answer)
        self._run.publisher.publish([])

    def refuse(self, reason: Reason) -> Reason:
        """Keep nothing, and let every waiting request ask by itself; returns the reason."""
        engine, flight = self._engine, self._flight
        engine.events.not_stored(reason, self._request.plan.resolved.label)
        engine.flights.mark_hit_for_miss(flight.seed.key)
        self._release(Passed(reason))
        return reason

    def release(self, reason: Reason, status: int) -> None:
        """Answer the flight: the response is its client's alone, the other requests ask alone."""
        engine, flight = self._engine, self._flight
        if reason is Reason.AUTHORIZATION:
            # Others of its kind go alone from now on; requests without it may still share.
            kind = self._request.kind(flight.seed.key)
            engine.flights.mark_hit_for_miss(kind)
        elif status not in (PARTIAL, 304) and not is_origin_failure(status):
            # A failing origin is no reason to send it all requests at once from now on.
            engine.flights.mark_hit_for_miss(flight.seed.key)
        self._release(Personal() if reason is Reason.AUTHORIZATION else Passed(reason))

    def share_head(self, status: int, store: Store) -> None:
        """Answer waiting HEADs with a response's head, which is not stored."""
        engine, flight, request = self._engine, self._flight, self._request
        if request.plan.policy.tags_from:
            # Without the content nothing says which invalidations are about it.
            self._release(Passed(Reason.TAGS))
            return
        lines = without(store.headers, {AGE})
        response = StoredResponse(status, lines, b"", first(lines, b"etag"), store.last_modified)
        try:
            whole = entry_of(flight.seed, response, store, request.plan, engine.clock())
            entry, marker = as_variant(whole, request, store.vary, self.marker)
        except UnfitTags as unfit:
            self._unfit(unfit)
            return
        except Exception as error:  # noqa: BLE001  # the answer is good, if its client's alone
            engine.events.broken("sharing an answer to HEAD", error)
            self._release(Passed(Reason.BROKEN))
            return
        if not engine.index.permits(entry):
            self._overtaken(entry)
            return
        fields = marker.payload if marker is not None else None
        self._release(HeadAnswer(entry, fields.fields if isinstance(fields, Variants) else ()))

    def _overtaken(self, entry: Entry) -> None:
        """Answer a flight that an invalidation has overtaken."""
        engine, flight = self._engine, self._flight
        if self._run.worth_repeating(entry):
            self._release(Overtaken(entry))
        else:
            # What was dropped is settling: nothing is kept yet, and waiting brings nothing.
            engine.flights.mark_hit_for_miss(flight.seed.key)
            self._release(Passed(Reason.INVALIDATED))

    def freshen(
        self, stored: StoredResponse, lines: Headers, asked_at: float, *, answers: bool = True
    ) -> tuple[StoredResponse, Slot | Reason]:
        """Keep a stored response with newer field lines, if it may be kept with those.

        Args:
            stored: The response.
            lines: Its field lines, and what the origin has changed of them.
            asked_at: Unix seconds at which the application was asked.
            answers: As for `judge`.
        """
        store = self.judge(stored.status, lines, asked_at, answers=answers)
        if isinstance(store, Store):
            response = as_stored(stored.status, store.headers, stored.body, store.last_modified)
            return response, self.keep(response, store)
        response = as_stored(stored.status, lines, stored.body, stored.last_modified)
        engine = self._engine
        engine.events.not_stored(store, self._request.plan.resolved.label)
        engine.stack.forget_soon(self._flight.seed.key)
        self._release(Passed(store))
        return response, store


def as_stored(
    status: int, lines: Headers, body: bytes, last_modified: bytes | None
) -> StoredResponse:
    """The response in the form in which it is stored: its age follows from the entry.

    Args:
        status: The status code.
        lines: The field lines.
        body: The content.
        last_modified: The value of its `Last-Modified` line, if any.
    """
    return StoredResponse(
        status=status,
        headers=shared(with_length(status, without(lines, {AGE}), len(body))),
        body=body,
        etag=first(lines, b"etag"),
        last_modified=last_modified,
    )


def as_variant(
    entry: Entry, request: Request, vary: tuple[bytes, ...], known: Variants | None
) -> tuple[Entry, Entry | None]:
    """The entry under the key of its variant, and the marker that leads to it.

    Args:
        entry: The entry.
        request: The request that it answers.
        vary: The fields that its response names.
        known: The fields that others have named before.
    """
    keyed = {*request.plan.policy.vary, *request.plan.policy.settled}
    before = known.fields if known is not None else ()
    fields = tuple(sorted({*before, *(name for name in vary if name not in keyed)}))
    if not fields:
        return replace(entry, key=request.primary), None
    marker = replace(
        entry,
        key=request.primary,
        payload=Variants(fields),
        fresh_until=entry.keep_until,
        refresh_at=float("inf"),
        tags=(),
        name="",
        # An invalidation can make nothing false that a marker says.
    )
    return replace(entry, key=request.variant_key(fields)), marker
