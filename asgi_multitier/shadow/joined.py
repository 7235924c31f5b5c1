"""What was found of a cache, of one process or of all workers of its machine, joined by route."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias

from ..config.policy import Policy
from .agreeing import annotation_for
from .dropping import one_line_each
from .found import OF_MUTATIONS, Cause, Finding, RouteReport, nameless_last
from .reading import Part
from .report import Report

_NO_RULES: Mapping[str, Policy] = {}

Scope: TypeAlias = Literal["process", "host"]
"""Of what a report tells: this process, or all workers of its machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """A process that was asked.

    Attributes:
        worker: Its number among the workers of the machine; None if it has none.
        pid: Its process; None if it has not answered.
        missing: Why it has not answered; "" if it has.
    """

    worker: int | None = None
    pid: int | None = None
    missing: str = ""

    def as_json(self) -> dict[str, Any]:
        """It, ready for JSON."""
        return {"worker": self.worker, "pid": self.pid, "missing": self.missing}


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheReport:
    """What shadow mode and audits have found.

    Attributes:
        namespace: Of the cache.
        scope: `"process"`, or `"host"` for all workers of the machine.
        observes: Whether requests are compared now: by the mode, or by an audit. Rules with
            `shadow=True` count from their first request on.
        seconds: For how long it has been observed; of several processes, the longest.
        pending: Answers that are still compared, as what others have dropped may be on its way.
        workers: The processes that were asked; what some have not answered is not in the figures.
        routes: What was found of each route: those with most wrong answers first, then by seconds
            saved.
    """

    namespace: str
    scope: Scope = "process"
    observes: bool = False
    seconds: float = 0.0
    pending: int = 0
    workers: tuple[Teller, ...] = ()
    routes: tuple[RouteReport, ...] = ()

    @property
    def requests(self) -> int:
        """Requests that were observed."""
        return sum(route.requests for route in self.routes)

    @property
    def hits(self) -> int:
        """Requests that the cache would have answered."""
        return sum(route.hits for route in self.routes)

    @property
    def wrong(self) -> int:
        """Answers of the cache that would have been wrong."""
        return sum(route.wrong for route in self.routes)

    @property
    def complete(self) -> bool:
        """Whether all that were asked have answered."""
        return not any(worker.missing for worker in self.workers)

    def as_json(self) -> dict[str, Any]:
        """It, ready for JSON."""
        return {
            "namespace": self.namespace,
            "scope": self.scope,
            "observes": self.observes,
            "seconds": round(self.seconds, 3),
            "pending": self.pending,
            "complete": self.complete,
            "workers": [worker.as_json() for worker in self.workers],
            "requests": self.requests,
            "hits": self.hits,
            "wrong": self.wrong,
            "routes": [dict(route.as_json()) for route in self.routes],
        }


def cache_report(
    namespace: str, scope: Scope, parts: Sequence[Part], workers: Iterable[Teller]
) -> CacheReport:
    """What several processes have found together.

    Args:
        namespace: Of the cache.
        scope: Of what it tells.
        parts: What each has answered.
        workers: Which were asked.
    """
    policies = {name: rule for part in parts for name, rule in part.policies.items()}
    return CacheReport(
        namespace=namespace,
        scope=scope,
        observes=any(part.observes for part in parts),
        seconds=max((part.seconds for part in parts), default=0.0),
        pending=sum(part.pending for part in parts),
        workers=tuple(workers),
        routes=joined([part.report for part in parts], policies).routes,
    )


def joined(reports: Sequence[Report], policies: Mapping[str, Policy] = _NO_RULES) -> Report:
    """The reports of several processes as one.

    Figures are added, and so is what speaks for a cause, so that the likeliest is first. What is
    proposed is for all causes together.

    Args:
        reports: What each has found.
        policies: The rules of routes. Where one is not known, what is proposed is that of the
            process with most evidence.
    """
    if len(reports) == 1:
        return reports[0]
    found: dict[str, list[RouteReport]] = {}
    for report in reports:
        for route in report.routes:
            found.setdefault(route.route, []).append(route)
    each = [_one_route(parts, policies.get(name)) for name, parts in found.items()]
    routes = one_line_each(each)
    return Report(routes=tuple(sorted(routes, key=lambda one: (-one.wrong, -one.saved_seconds))))


def _one_route(parts: Sequence[RouteReport], policy: Policy | None) -> RouteReport:
    parts = _without_time(parts, policy)
    known = [part for part in parts if part.annotation is not None]
    best = max(known or parts, key=lambda part: (part.wrong, part.requests))
    lifetime = min((part.lifetime for part in parts if part.lifetime is not None), default=None)
    findings = _causes(finding for part in parts for finding in part.findings)
    annotation = best.annotation
    if policy is not None and len({part.annotation for part in known}) > 1:
        annotation = annotation_for(best.route, policy, findings, lifetime) or annotation
    return replace(
        best,
        **{name: sum(getattr(part, name) for part in parts) for name in _ADDED},
        findings=findings,
        lifetime=lifetime,
        annotation=annotation,
        share=min(part.share for part in parts),
        would=_counted(part.would for part in parts),
    )


def _without_time(parts: Sequence[RouteReport], policy: Policy | None) -> Sequence[RouteReport]:
    """Count changes by themselves for a mutation, where a process has named one that drops nothing.

    The others do not hear of it, so to them the same changes come by themselves. What does is left
    when it is repaired, and is told then.
    """
    named = [one.name for part in parts for one in part.findings if one.cause is Cause.EDIT]
    if len(parts) < 2 or not any(named):
        return parts
    return [_of_mutations(part, policy) if _in_time(part) else part for part in parts]


def _in_time(part: RouteReport) -> bool:
    return any(one.cause is Cause.LIFETIME for one in part.findings)


def _of_mutations(part: RouteReport, policy: Policy | None) -> RouteReport:
    """What one process has found, with a mutation without a name in place of changes with time."""
    findings = tuple(
        Finding(cause=Cause.EDIT, wrong=one.wrong, place=one.place)
        if one.cause is Cause.LIFETIME
        else one
        for one in part.findings
    )
    annotation = None if policy is None else annotation_for(part.route, policy, findings, None)
    return replace(part, findings=findings, lifetime=None, annotation=annotation)


def _counted(parts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total.most_common())


_ADDED = tuple(
    one.name for one in fields(RouteReport) if one.type is int or one.name.endswith("_seconds")
)
"""Figures that are added; of all else there is a rule, or it is of the one with most evidence."""


def _causes(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each cause once, with what all have found of it; that which explains most comes first."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        found.setdefault((finding.cause.value, finding.name), []).append(finding)
    for kind in OF_MUTATIONS:
        _name_elsewhere(kind.value, found)
    one_each = [_one_cause(each) for each in found.values()]
    one_each.sort(key=lambda one: (-one.wrong, -one.confidence))
    return tuple(nameless_last(one_each))


def _name_elsewhere(kind: str, found: dict[tuple[str, str], list[Finding]]) -> None:
    """Count a mutation of another process for the one that this process has named.

    Of several it is that with most wrong answers. What is none of them is left when they are
    repaired, and is told then.
    """
    named = [each for (cause, name), each in found.items() if cause == kind and name]
    if named and (kind, "") in found:
        most = max(named, key=lambda each: sum(one.wrong for one in each))
        wrong = sum(one.wrong for one in found.pop((kind, "")))
        most[0] = replace(most[0], wrong=most[0].wrong + wrong)


def _one_cause(parts: Sequence[Finding]) -> Finding:
    best = max(parts, key=lambda part: (part.wrong, part.confidence))
    return replace(best, wrong=sum(part.wrong for part in parts))


def part_json(part: Part) -> Mapping[str, Any]:
    """What a process tells the others; `reading.read_part` reads it."""
    heading = {
        "pid": part.pid,
        "observes": part.observes,
        "seconds": part.seconds,
        "pending": part.pending,
    }
    return {**heading, **part.report.as_json()}
