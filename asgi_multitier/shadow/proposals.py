"""Whether a route without a rule is worth one, and which."""

from collections.abc import Sequence
from dataclasses import dataclass

from .annotations import Changes, merged, tag_of
from .found import Cause, decides
from .judging import Judgement
from .sums import LIFETIMES, Sums
from .times import in_words, lifetime_within

_RARE = 0.1
"""The least share of requests that a cache has to answer to be proposed."""

_LEAST = 10
"""Requests below which nothing is proposed."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed for a route without a rule.

    Attributes:
        changes: The rule; None if the route is not to be cached.
        why: Why not, or why this lifetime.
        lifetime: Seconds that `why` tells of; None where it tells of none.
        hits: Requests that it would have answered, about.
        seconds: Seconds that the application would have been spared, about.
    """

    changes: Changes | None
    why: str
    lifetime: float | None = None
    hits: int = 0
    seconds: float = 0.0


def propose(
    route: str,
    sums: Sums,
    judgement: Judgement,
    changes: Sequence[Changes],
    *,
    shared: bool,
    cookies: bool,
) -> Proposal:
    """What to do about a route without a rule.

    Args:
        route: Its label.
        sums: Its figures.
        judgement: What was found of it.
        changes: What the findings ask for.
        shared: Whether different users were seen to get the same answer, or none was identified.
        cookies: Whether requests had cookies.
    """
    wrong = sum(one.wrong for one in judgement.judged)
    causes = {one.cause for one in judgement.judged if decides(one.cause, one.wrong, wrong)}
    if not route.startswith("GET "):
        return Proposal(None, "Only answers to GET are proposed to be cached")
    if sums.requests < _LEAST:
        times = "once" if sums.requests == 1 else f"{sums.requests} times"
        return Proposal(None, f"It was asked {times}: too few to tell")
    for cause, why in _AGAINST.items():
        if cause in causes:
            return Proposal(None, why)
    if not shared:
        return Proposal(None, "Its requests identify users, and no two of them got the same answer")
    stay = judgement.seen if judgement.stay is None else judgement.stay
    lifetime = lifetime_within(stay)
    if lifetime is None:
        return Proposal(None, "No answer was seen to stay the same for two seconds")
    hits, seconds = saved_by(sums, lifetime)
    if hits < _RARE * sums.requests:
        return Proposal(
            None,
            f"It is asked too rarely: a lifetime of {in_words(lifetime)} would seldom help",
            lifetime,
        )
    total = merged(
        [*changes, Changes(lifetime=lifetime, tags=(tag_of(route),), ignore_cookies=cookies)]
    )
    why = f"Answers stay the same for {stay:,.0f} s at least: {in_words(lifetime)} fits"
    return Proposal(total, why, lifetime, hits, seconds)


_AGAINST = {
    Cause.RANDOM: "Its answers are never the same",
    Cause.USER: "Its answers belong to single users",
    Cause.ADDRESS: "Its answers belong to single clients",
    Cause.UNKNOWN: "Its answers differ, and it is not known why",
    Cause.LATE_COMMIT: "Its data change after a mutation was answered",
}


def saved_by(sums: Sums, lifetime: float) -> tuple[int, float]:
    """Requests that a lifetime would have answered, and seconds of the application, about."""
    at = max((at for at, one in enumerate(LIFETIMES) if one <= lifetime), default=0)
    scale = sums.requests / sums.kept_requests if sums.kept_requests else 0.0
    return round(sums.kept_hits[at] * scale), sums.kept_seconds[at] * scale
