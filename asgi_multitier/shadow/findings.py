"""What was judged of a route, as it is told: findings, with what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ..config.policy import Policy
from .annotations import Changes, Dropping, dropping, written_at
from .bits import confidence
from .found import OF_MUTATIONS, Cause, Finding
from .judging import Judged
from .remedies import Remedy, of_attribute, of_elsewhere, of_random, of_unknown
from .times import in_words, lifetime_within

_SAFE = ("GET ", "HEAD ")

_SETTLE = 60
"""Seconds that `settle=` is proposed with at most."""


@dataclass(frozen=True, slots=True)
class Told:
    """Findings of a route.

    Attributes:
        findings: They.
        changes: What they change of the rule of the route, together.
    """

    findings: tuple[Finding, ...]
    changes: tuple[Changes, ...]


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells what was judged of one route.

    Attributes:
        route: Its label.
        policy: Its rule; None for none.
        common: Tags that all of its entries carry.
        stay: Seconds for which an answer stays the same at least; None where that is not known.
        scale: Wrong answers in all for each that was kept.
    """

    route: str
    policy: Policy | None
    common: frozenset[str]
    stay: float | None
    scale: float

    def tell(self, judged: Sequence[Judged]) -> Told:
        """All findings, the one with most wrong answers first."""
        findings, changes = [], []
        for one in judged:
            remedy, annotation = self._remedy(one)
            if remedy.changes is not None:
                changes.append(remedy.changes)
                annotation = written_at(self.route, self.policy, remedy.changes)
            findings.append(
                Finding(
                    cause=one.cause,
                    name=one.name,
                    others=tuple((kind.value, name) for kind, name in one.names[1:4]),
                    wrong=round(one.wrong * self.scale),
                    confidence=confidence(one.bits),
                    place=one.place,
                    remedy=remedy.sentence,
                    annotation=annotation,
                )
            )
        return Told(tuple(findings), tuple(changes))

    def _remedy(self, one: Judged) -> tuple[Remedy, str | None]:
        if one.names:
            return of_attribute(one.names), None
        if one.cause is Cause.RANDOM:
            return of_random(one.place), None
        if one.cause is Cause.LIFETIME:
            return self._of_lifetime(), None
        if one.cause in OF_MUTATIONS:
            return self._of_edit(one)
        return of_unknown(), None

    def _of_lifetime(self) -> Remedy:
        stay = self.stay or 0.0
        fits = lifetime_within(stay)
        if fits is None:
            return Remedy(
                "Answers change by themselves within two seconds: do not cache the route",
                Changes(never=True),
            )
        return Remedy(
            f"Answers change by themselves, after {stay:,.0f} s at the earliest, and no mutation"
            f" precedes: a lifetime of {in_words(fits)} fits; or drop them by the manager where"
            " their data change",
            Changes(lifetime=fits),
        )

    def _of_edit(self, one: Judged) -> tuple[Remedy, str | None]:
        if not one.name:
            return of_elsewhere(self.route, one.lag), None
        if one.name.startswith(_SAFE):
            return (
                Remedy(
                    f"{self.route} changes after {one.name}, a safe request that drops nothing:"
                    " let it be a POST, or call invalidate_tags() of the manager in it"
                ),
                None,
            )
        if one.cause is Cause.LATE_COMMIT:
            seconds = min(max(ceil(one.lag), 1), _SETTLE)
            return (
                Remedy(
                    f"{one.name} drops {self.route} and its data change up to {one.lag:.1f} s"
                    " later: commit before the response, or write settle="
                ),
                Dropping(settle=seconds).text(),
            )
        named = dropping(one.name, self.route, self.policy, self.common)
        if one.tag is not None:
            return (
                Remedy(
                    f'{one.name} names the tag "{one.tag.named}" that no answer carries;'
                    f' {self.route} carries "{one.tag.carried}": write it in the same way'
                ),
                named.text(),
            )
        return (
            Remedy(
                f"{self.route} changes after {one.name}, which does not drop it: name it in"
                " @invalidates"
            ),
            named.text(),
        )
