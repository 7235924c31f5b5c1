"""What was found: figures and causes per route."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any, Final, Protocol, TypeVar


@unique
class Cause(StrEnum):
    """Why answers of one key differ."""

    FIELD = "field"
    COOKIE = "cookie"
    QUERY = "query"
    USER = "user"
    ADDRESS = "address"
    EDIT = "edit"
    LATE_COMMIT = "late-commit"
    TAG = "tag"
    LIFETIME = "lifetime"
    RANDOM = "random"
    UNKNOWN = "unknown"


OF_MUTATIONS: Final = frozenset((Cause.EDIT, Cause.TAG, Cause.LATE_COMMIT))
"""Causes that have the name of a mutation; "" if it is not a request of this process."""


ATTRIBUTES: Final = frozenset((Cause.FIELD, Cause.COOKIE, Cause.QUERY, Cause.USER, Cause.ADDRESS))
"""Causes that are part of a request. What belongs to another client is never sent to be quick."""


class _Named(Protocol):
    """A cause with its name."""

    @property
    def cause(self) -> Cause: ...
    @property
    def name(self) -> str: ...


_NamedT = TypeVar("_NamedT", bound=_Named)


def nameless_last(causes: Sequence[_NamedT]) -> list[_NamedT]:
    """Causes in their order; but mutations without a name come after all, if there are attributes.

    All that other processes drop is one suspect, so it is near to much.
    """
    if not any(one.cause in ATTRIBUTES for one in causes):
        return list(causes)
    return sorted(causes, key=lambda one: one.cause in OF_MUTATIONS and not one.name)


_LEAST: Final = 0.01


def decides(cause: Cause, wrong: int, of: int) -> bool:
    """Whether a cause has a say in what is proposed for a route.

    An attribute of requests has. All else has to explain a hundredth of the wrong answers.

    Args:
        cause: What kind it is.
        wrong: Wrong answers that it explains.
        of: Wrong answers of the route.
    """
    return cause in ATTRIBUTES or wrong >= _LEAST * of


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause of wrong answers of a route.

    Attributes:
        cause: What kind it is.
        name: The field, cookie, parameter or mutation; "" where there is none.
        others: Kind and name of what explains as well as that.
        wrong: Wrong answers that it explains.
        confidence: From 0 to 1.
        place: Where in a JSON text the answers differ; "" where that is not known.
        remedy: What to do, as a sentence.
        annotation: Source text to paste; None where there is none.
    """

    cause: Cause
    name: str = ""
    others: tuple[tuple[str, str], ...] = ()
    wrong: int = 0
    confidence: float = 0.0
    place: str = ""
    remedy: str = ""
    annotation: str | None = None

    def as_json(self) -> Mapping[str, Any]:
        """It, ready for JSON."""
        return {
            "cause": self.cause.value,
            "name": self.name,
            "others": [{"cause": cause, "name": name} for cause, name in self.others],
            "wrong": self.wrong,
            "confidence": self.confidence,
            "place": self.place,
            "remedy": self.remedy,
            "annotation": self.annotation,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteReport:
    """What was found of one route.

    Attributes:
        route: Its label.
        rule: Whether a rule holds for it.
        requests: Requests that were observed.
        hits: Those that the cache would have answered.
        origin_seconds: Seconds that the application took for all of them.
        saved_seconds: Seconds that it took for those that the cache would have answered.
        saved_bytes: Bytes of content of these.
        memory: Bytes that the answers of the route would take, about.
        wrong: Answers of the cache that would have been wrong.
        aged: Answers of the cache that differ as well, but only as the data change by themselves,
            within a lifetime that fits.
        findings: Causes, the likeliest first.
        lifetime: Seconds for which it can be cached, by how long answers stay the same; None where
            that is not known.
        annotation: Source text to paste; None where nothing is proposed.
        why: Of a route without a rule, why this is proposed, or why nothing is.
        possible_hits: Of a route without a rule, requests that what is proposed would answer.
        possible_seconds: And the seconds that the application would be spared.
        share: The share of its keys that were compared.
        would: How often each thing would have become of a request, the most frequent first.
    """

    route: str
    rule: bool = True
    requests: int = 0
    hits: int = 0
    origin_seconds: float = 0.0
    saved_seconds: float = 0.0
    saved_bytes: int = 0
    memory: int = 0
    wrong: int = 0
    aged: int = 0
    findings: tuple[Finding, ...] = ()
    lifetime: float | None = None
    annotation: str | None = None
    why: str = ""
    possible_hits: int = 0
    possible_seconds: float = 0.0
    share: float = 1.0
    would: Mapping[str, int] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """The share of requests that the cache would have answered."""
        return self.hits / self.requests if self.requests else 0.0

    def as_json(self) -> Mapping[str, Any]:
        """It, ready for JSON."""
        return {
            "route": self.route,
            "rule": self.rule,
            "requests": self.requests,
            "hits": self.hits,
            "ratio": round(self.ratio, 4),
            "origin_seconds": round(self.origin_seconds, 6),
            "saved_seconds": round(self.saved_seconds, 6),
            "saved_bytes": self.saved_bytes,
            "memory": self.memory,
            "wrong": self.wrong,
            "aged": self.aged,
            "findings": [one.as_json() for one in self.findings],
            "lifetime": self.lifetime,
            "annotation": self.annotation,
            "why": self.why,
            "possible_hits": self.possible_hits,
            "possible_seconds": round(self.possible_seconds, 6),
            "share": self.share,
            "would": dict(self.would),
        }
