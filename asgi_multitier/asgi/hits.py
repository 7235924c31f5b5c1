"""The decision about a hit that needs nothing to be waited for: one, for every door.

A door gives a request, and gets what is prepared for it, or nothing: then the general way
(`exchange`) decides. A plain request, in which nothing but its target counts, has the key of its
plan. What the key of any other is, the general way has found out for an equal one; that is
remembered here, within bounds. Whether what lies under a key may be sent is decided here at each
request: by the log's view, the lifetime, and the representations that the URL has now.
"""

import sys
from asyncio.events import _get_running_loop as loop_here
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Final

from .._types import Header, Scope
from ..coherence.index import Index
from ..engine.encodings import Encodings
from ..engine.engine import Engine
from ..entry import MAX_USES, Slot, Variants
from ..manager.manager import CacheManager
from ..policy.coding import ACCEPT_ENCODING
from ..policy.negotiation import IDENTITY
from ..policy.request import Field
from ..tiers.base import finder, is_holdable
from .asked import Asked
from .first_hit import first_selected
from .hands import Hands
from .instead import part_of, unchanged
from .kept_plan import KeptPlan
from .layers import is_known
from .layout import Layout
from .plans import Plans
from .replay import Prepared, Replay, prepare
from .representation import encoded_replay
from .request import chosen_by
from .request_key import visible
from .selected import Selected
from .selecting import selecting
from .selections import Selections
from .way import Way, way_of

_KNOWS_LOOP = sys.version_info >= (3, 12)
"""Whether Python says at once which loop runs here. Python 3.11 asks the system for the number of
the process each time, which takes a tenth of a hit."""

_CONDITION, _RANGE = Field.CONDITION, Field.RANGE


class _Never:
    """In place of the index: no slot has this view."""

    __slots__ = ()
    view: Final = -3


_NEVER: Final = _Never()


class Hits:
    """Finds what answers a request at once.

    Args:
        manager: The cache.
        planning: The plans of targets.

    Attributes:
        selections: What is known of requests that are not plain.
    """

    __slots__ = (
        *("__weakref__", "_clock", "_encodings", "_find", "_hands", "_held_at", "_holdable"),
        *("_home", "_index", "_layouts", "_own_find", "_peek", "_remembered", "_table"),
        "selections",
    )

    def __init__(self, manager: CacheManager, planning: Plans) -> None:
        config = manager.config
        self._home = manager.home
        self._layouts = planning.layouts
        self._table = planning.table
        self.selections: Selections = Selections(config.l1_entries, config.l1_bytes, self._layouts)
        self._remembered = self.selections.remembered
        self._hands = Hands(config.l1_bytes // 16)
        planning.on_forget(self._forget)

    def take(self, engine: Engine) -> None:
        """Look into this engine's tier from here on. Called when the cache has its name."""
        self._forget()
        self._index = engine.index
        self._holdable = is_holdable(engine.stack.local)
        self._own_find = finder(engine.stack.local)
        self.find = self._own_find
        engine.doors.take(self)
        self._peek = engine.stack.peek
        self._clock = engine.clock
        self._encodings = engine.encodings

    @property
    def find(self) -> Callable[[str], Slot | None]:
        """Looks a key up in the first tier; while `engine.sampling` watches, that shows it hits."""
        return self._find

    @find.setter
    def find(self, find: Callable[[str], Slot | None]) -> None:
        self._find = find
        # What is in hands counts only where the tier need not see a use, and nothing else does.
        in_hands = self._holdable and find is self._own_find
        self._held_at: Index | _Never = self._index if in_hands else _NEVER

    def _forget(self) -> None:
        """What was made of plans no longer holds."""
        self._hands.clear()
        self._remembered.clear()
        self._layouts.forget_ways()

    def ready(
        self, plan: KeptPlan, layout: Layout, scope: Scope, asked: Asked | None = None
    ) -> Prepared | None:
        """What answers this request at once; it is counted as a hit. None if nothing does.

        Args:
            plan: The plan of its target.
            layout: That of its field lines.
            scope: The request, a GET or a HEAD.
            asked: What `vary_by` has returned, where the rule has one.
        """
        common = plan.common
        # A function is read before it is called: Python is slow to call it as if it was a method.
        home = self._home
        runs = home.runs
        if not common.prompt or (
            loop_here() is not home.place
            if _KNOWS_LOOP
            else get_ident() != home.thread or not runs()
        ):
            return None
        if (
            # Where a layer names the user; written out, as it is faster than a set.
            ("user" in scope or "session" in scope or "auth" in scope or "extensions" in scope)
            and not common.separated
            and is_known(scope)
        ):
            return None
        clock = self._clock
        now = clock()
        try:
            way: Way = layout.ways[common]
        except KeyError:
            way = way_of(common, layout, self._layouts)
        is_plain, codings = layout.whole, None
        holder: KeptPlan | Selected = plan
        if not way.by_target:
            if way.by_coding:
                return self._by_coding(plan, layout, scope, now)
            selected = self._selects(plan, layout, way, scope, asked, now)
            if selected is None:
                return None
            holder, codings = selected, selected.codings
            is_plain = is_plain and not codings
        slot = holder.slot
        if slot is None or slot.view != self._held_at.view:
            slot = self._take(holder)
            if slot is None:
                return None
        replay = slot.replay
        if replay is None:
            replay = _prepared(slot, plan, layout, scope)
            if replay is None:
                return self._ready_of_several(plan, layout, scope, asked, slot)
        sent: Prepared | None = replay
        if is_plain:
            if now >= replay.due and not replay.renew(now):
                return None
        elif codings:
            sent = _in_coding(self._encodings, slot, replay, codings, plan, layout, scope, now)
        else:
            sent = _chosen(slot, replay, layout, scope, now)
        if sent is not None:
            if slot.uses < MAX_USES:
                slot.uses += 1
            plan.common.tally.local += 1
        return sent

    def _by_coding(
        self, plan: KeptPlan, layout: Layout, scope: Scope, now: float
    ) -> Prepared | None:
        """As `ready`, where the target has one response, in several content codings."""
        slot = plan.slot
        if slot is None or slot.view != self._held_at.view:
            slot = self._take(plan)
            if slot is None:
                return None
        accepts = None
        for name, value in scope["headers"]:
            if name == ACCEPT_ENCODING:
                accepts = value if accepts is None else accepts + b"," + value
        codings = plan.common.accepting[accepts]
        if (
            (encodings := slot.encoded)
            and (encoded := encodings.get(codings[0])) is not None
            and (made := encoded.replay) is not None
            and (now < made.due or made.renew(now))
            and layout.whole
        ):
            sent: Prepared | None = made
        else:
            replay = _prepared(slot, plan, layout, scope)
            if replay is None:
                return None
            sent = _in_coding(self._encodings, slot, replay, codings, plan, layout, scope, now)
        if sent is not None:
            if slot.uses < MAX_USES:
                slot.uses += 1
            plan.common.tally.local += 1
        return sent

    def _take(self, holder: KeptPlan | Selected) -> Slot | None:
        """What is stored for a holder, if it is valid; a hit of it that follows has it at hand."""
        slot = self._valid(holder.key)
        # Much is asked for once or twice: what is prepared to be sent again is not.
        if slot is not None and slot.replay is not None and self._held_at is not _NEVER:
            self._hands.take(holder, slot)
        return slot

    def _valid(self, key: str) -> Slot | None:
        """What is stored under a key, if the log has not invalidated it."""
        slot = self._find(key)
        if slot is None or slot.view == self._index.view:
            return slot
        # Something was invalidated since it was used last: whether this was, the index says.
        return self._peek(key)

    def _selects(
        self,
        plan: KeptPlan,
        layout: Layout,
        way: Way,
        scope: Scope,
        asked: Asked | None,
        now: float,
    ) -> Selected | None:
        """What a request selects, if that is known of one like it and still holds."""
        if not way.at_once:
            return None
        last, partition = plan.last, None
        if plan.common.asks:
            partition = None if asked is None else asked.partition
            if partition is None:
                return None
        headers = scope["headers"]
        take = way.take
        lines = None if take is None else take(headers)
        selected: Selected | None
        if last is not None and last.lines == lines and last.partition == partition:
            selected = last.selected
        else:
            counts = selecting(plan, way, headers, partition)
            if last is not None and last.counts == counts:  # faster than to hash them
                selected = last.selected
            else:
                selected = self._remembered.young.get(counts) or self._remembered.recall(counts)
                if selected is None and plan.stored:
                    selected = self._first(plan, layout, scope, partition)
        if selected is None or selected.primary is None:
            return selected
        return selected if self._is_marked(selected, selected.primary, now) else None

    def _first(
        self, plan: KeptPlan, layout: Layout, scope: Scope, partition: bytes | None
    ) -> Selected | None:
        """What a request selects that is the first of its kind since something was stored."""
        plan.stored = False
        whole = plan.whole()
        if whole is None:
            return None
        headers: Sequence[Header] = scope["headers"]
        found = layout.found(headers)
        selected = first_selected(whole, found, scope, partition, self._table, self._valid)
        if selected is not None:
            self.selections.learn(plan, headers, partition, selected)
        return selected

    def _ready_of_several(
        self, plan: KeptPlan, layout: Layout, scope: Scope, asked: Asked | None, slot: Slot
    ) -> Prepared | None:
        """As `ready`, where it has just turned out that the target has several representations."""
        payload = slot.entry.payload
        if not isinstance(payload, Variants) or plan.common.fields.issuperset(payload.fields):
            return None
        plan.chosen_by(payload.fields)
        return self.ready(plan, layout, scope, asked)

    def _is_marked(self, selected: Selected, primary: str, now: float) -> bool:
        """Whether the same fields as before choose among the representations of a URL."""
        marker = selected.marker
        if marker is None or marker.view != self._index.view:  # else it was found right before
            marker = self._valid(primary)
            if marker is None:
                return False
            payload = marker.entry.payload
            if not isinstance(payload, Variants) or payload.fields != selected.fields:
                return False
            selected.marker = marker if self._holdable else None
        if now >= marker.entry.keep_until:
            return False
        if marker.uses < MAX_USES:
            marker.uses += 1
        return True


def _in_coding(
    encodings: Encodings,
    slot: Slot,
    replay: Replay,
    codings: tuple[bytes, ...],
    plan: KeptPlan,
    layout: Layout,
    scope: Scope,
    now: float,
) -> Prepared | None:
    """What a request gets that accepts these content codings, the preferred one first."""
    if _RANGE in layout.fields:
        return _chosen(slot, replay, layout, scope, now)  # of the content without a coding
    made = encodings.find(slot, codings, plan.common.terms)
    if made is None:
        if _CONDITION in layout.fields:
            return _chosen(slot, replay, layout, scope, now)
        return replay if replay.renew(now) else None
    encoded = encoded_replay(made, replay)
    if _CONDITION not in layout.fields:
        return encoded if encoded.renew(now) else None
    own = _chosen(slot, replay, layout, scope, now) if IDENTITY in codings else None
    return _chosen(slot, encoded, layout, scope, now) or own


def _chosen(
    slot: Slot, replay: Replay, layout: Layout, scope: Scope, now: float
) -> Prepared | None:
    """What a request with a condition or a range gets, if that is plain to see."""
    headers: Sequence[Header] = scope["headers"]
    if (place := layout.tag) is not None:
        return unchanged(replay, now) if headers[place][1] == replay.tag else None
    if (place := layout.range) is not None and scope["method"] == "GET":
        return part_of(slot, replay, headers[place][1], now)
    return None


def _prepared(slot: Slot, plan: KeptPlan, layout: Layout, scope: Scope) -> Replay | None:
    kind = plan.common.kind()
    if kind is None:
        return None
    policy, found = kind.plan.policy, layout.found(scope["headers"])
    chosen = chosen_by(policy, visible(policy, found)) if found else ()
    return prepare(slot, plan.common.terms, 1, chosen)
