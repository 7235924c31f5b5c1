"""What became of the requests of a warm-up."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ..policy.reasons import Reason
from ..policy.status_field import CacheStatus
from .targets import Target

NOT_REACHED = "not-reached"
"""The reason of an answer that shows no sign of the cache: a layer around it has answered."""

_STAND_INS = (Reason.STALE_IF_ERROR, Reason.SOFT_TIMEOUT)
_MAX_FAILURES = 10
"""Failures of which a report says what they were."""


@dataclass(frozen=True, slots=True)
class WarmReport:
    """What a warm-up has done: `asked == stored + hits + failed + sum(bypassed.values())`.

    Attributes:
        asked: Requests.
        stored: Responses that are stored now and were not before, or were stale.
        hits: Responses that were there already.
        bypassed: Responses that were not stored, by reason: the `detail` of `Cache-Status`, or
            `"not-reached"` where something around the cache has answered.
        failed: Requests that ended with an exception, a status of 500 or above, a stale entry in
            place of an answer, or not in time.
        failures: What the first of these were, by URL.
    """

    asked: int = 0
    stored: int = 0
    hits: int = 0
    bypassed: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WarmPart:
    """What a part of a warm-up has done.

    Attributes:
        report: What became of those that were asked for.
        done: How many targets are behind it, with those that were skipped.
        of: How many there are.
        detail: Why there are none; "" if there are.
    """

    report: WarmReport = field(default_factory=WarmReport)
    done: int = 0
    of: int = 0
    detail: str = ""


class Reply(msgspec.Struct, frozen=True):
    """What a warm-up sees of a response.

    Attributes:
        status: Its status.
        said: What this cache says of it.
        kept: Whether it is stored, where it was sent before that was known.
    """

    status: int
    said: CacheStatus
    kept: bool = False


class Results:
    """Counts what becomes of the requests of one warm-up."""

    def __init__(self) -> None:
        self._asked = self._stored = self._hits = self._failed = 0
        self._bypassed: Counter[str] = Counter()
        self._failures: dict[str, str] = {}

    def add(self, target: Target, reply: "Reply | Exception") -> None:
        """Count the outcome of one request."""
        self._asked += 1
        if isinstance(reply, Exception):
            self._fail(target, f"{type(reply).__name__}: {reply}")
            return
        said = reply.said
        if reply.status >= 500:
            self._fail(target, f"status {reply.status}")
        elif said.detail in _STAND_INS:
            self._fail(target, f"a stale entry stood in: {said.detail}")
        elif said.hit:
            self._hits += 1
        elif said.stored or reply.kept:
            self._stored += 1
        else:
            self._bypassed[said.detail or said.forward or NOT_REACHED] += 1

    def _fail(self, target: Target, why: str) -> None:
        self._failed += 1
        if len(self._failures) < _MAX_FAILURES:
            self._failures[target.url[:200]] = why[:200]

    def report(self) -> WarmReport:
        """A frozen reading."""
        return WarmReport(
            asked=self._asked,
            stored=self._stored,
            hits=self._hits,
            bypassed=dict(self._bypassed),
            failed=self._failed,
            failures=dict(self._failures),
        )
