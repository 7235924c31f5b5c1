"""The report, made of what a ledger keeps."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..config.policy import Policy
from .annotations import Changes, merged, written_at
from .dropping import one_line_each
from .edits import Mutations, parameters, template_of
from .findings import Teller, Told
from .found import Cause, Finding, RouteReport
from .judging import Judge, Judgement, changed_rows, wrong_rows
from .proposals import Proposal, propose
from .record import USER, Record
from .report import Report
from .rows import Key, rows_of
from .sums import LIFETIMES, Sums, shown
from .tags import heads_of
from .times import lifetime_within

_ENTRY = 600
"""Bytes that an entry takes besides its content, about."""

Kept = tuple[str, frozenset[str], int, tuple[Record, ...]]
"""Path, tags, bytes of the last answer, and records of one key."""


@dataclass(frozen=True, slots=True, eq=False)
class RouteEvidence:
    """What is kept of one route.

    Attributes:
        route: Its label.
        sums: Its figures.
        keys: Its kept keys.
        share: The share of all keys that are kept.
        policy: Its rule; None for none.
        ruled: Whether its rule is known.
    """

    route: str
    sums: Sums
    keys: tuple[Kept, ...]
    share: float
    policy: Policy | None
    ruled: bool

    @property
    def has_rule(self) -> bool:
        """Whether a rule holds for it: the cache has met its requests."""
        if self.ruled:
            return self.policy is not None
        return set(self.sums.would) != {"no-rule"}


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What a ledger keeps at one time.

    Attributes:
        routes: By route.
        mutations: By route.
    """

    routes: tuple[RouteEvidence, ...]
    mutations: tuple[Mutations, ...]

    def report(self) -> Report:
        """What was found: routes with most wrong answers first, then by seconds saved."""
        known = heads_of(tags for route in self.routes for _, tags, _, _ in route.keys)
        found = [_report_of(route, self.mutations, known) for route in self.routes]
        reports = one_line_each(found)
        reports.sort(
            key=lambda one: (-one.wrong, -one.saved_seconds, -one.possible_seconds, one.route)
        )
        return Report(routes=tuple(reports))


def _report_of(
    route: RouteEvidence, mutations: Sequence[Mutations], known: frozenset[str]
) -> RouteReport:
    sums = route.sums
    keys = rows_of(route.keys)
    judgement = _judged(route, keys, mutations, known)
    aged = round(judgement.aged * _scale(route, judgement))
    wrong = max(sums.wrong - aged, 0)
    told = Teller(
        route.route,
        route.policy,
        _common(route),
        judgement.stay,
        _scale(route, judgement),
    ).tell(judgement.judged)
    findings = told.findings
    if wrong and not findings:
        findings = (Finding(cause=Cause.UNKNOWN, wrong=wrong, remedy=_NOT_KEPT),)
    proposal = _proposal(route, keys, judgement, told)
    return RouteReport(
        route=route.route,
        rule=route.has_rule,
        requests=sums.requests,
        hits=sums.hits,
        origin_seconds=sums.origin_seconds,
        saved_seconds=sums.saved_seconds,
        saved_bytes=sums.saved_bytes,
        memory=_memory(route),
        wrong=wrong,
        aged=aged,
        findings=findings,
        lifetime=_lifetime(judgement, proposal),
        annotation=_annotation(route, told, proposal),
        why="" if proposal is None else proposal.why,
        possible_hits=0 if proposal is None else proposal.hits,
        possible_seconds=0.0 if proposal is None else proposal.seconds,
        share=route.share,
        would=shown(sums.would),
    )


_NOT_KEPT = "The requests that differ were not kept: watch for longer"


def _judged(
    route: RouteEvidence, keys: list[Key], mutations: Sequence[Mutations], known: frozenset[str]
) -> Judgement:
    """What is found of a route; where all answers are equal, nothing needs to be compared."""
    judge = Judge(route.route, keys, mutations, known)
    return judge.judge(wrong_rows(keys) if route.has_rule else changed_rows(keys))


def _scale(route: RouteEvidence, judgement: Judgement) -> float:
    """Wrong answers in all for each that is kept; without a rule there is none."""
    if not route.has_rule or not judgement.wrong:
        return 0.0
    return route.sums.wrong / judgement.wrong


def _common(route: RouteEvidence) -> frozenset[str]:
    """Tags that all entries carry, unless there is but one of many."""
    template = template_of(route.route)
    if len(route.keys) < 2 and parameters(template, template):
        return frozenset()
    tags = [some for _, some, _, _ in route.keys]
    return frozenset.intersection(*tags) if tags else frozenset()


def _memory(route: RouteEvidence) -> int:
    """Bytes for an entry of each key, by those that are kept."""
    kept = sum(size + _ENTRY for _, _, size, _ in route.keys)
    return round(kept / route.share) if route.share else 0


def _lifetime(judgement: Judgement, proposal: Proposal | None) -> float | None:
    """The lifetime that fits; None where answers were not seen for long enough to tell."""
    if proposal is not None and proposal.lifetime is not None:
        return proposal.lifetime
    if judgement.stay is not None:
        return lifetime_within(judgement.stay)
    return lifetime_within(judgement.seen) if judgement.seen >= LIFETIMES[0] else None


def _proposal(
    route: RouteEvidence, keys: Sequence[Key], judgement: Judgement, told: Told
) -> Proposal | None:
    if route.has_rule:
        return None
    shared = not route.sums.users or _shared(keys)
    return propose(
        route.route, route.sums, judgement, told.changes, shared=shared, cookies=_cookies(keys)
    )


def _cookies(keys: Sequence[Key]) -> bool:
    """Whether requests had cookies."""
    return any(
        kind is Cause.COOKIE for key in keys for row in key.rows for kind, _ in row.record.names
    )


def _shared(keys: Sequence[Key]) -> bool:
    """Whether two users got the same answer."""
    for key in keys:
        users: dict[int, int] = {}
        for row in key.rows:
            user = row.record.attributes().get(USER, 0)
            if users.setdefault(row.digest, user) != user:
                return True
    return False


def _annotation(route: RouteEvidence, told: Told, proposal: Proposal | None) -> str | None:
    """What to write at the route, for all findings together."""
    changes: Changes | None = None
    if proposal is not None:
        changes = proposal.changes
    elif told.changes:
        changes = merged(told.changes)
    return None if changes is None else written_at(route.route, route.policy, changes)
