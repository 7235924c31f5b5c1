"""How often targets are asked for: counts of this process, and the list that a fleet shares.

Counts come from a sample, so they are estimates. A score halves in each hour: what was asked for
yesterday counts little where anything was asked for since, and keeps its order where nothing was.

The list is MessagePack: its format, the moment of its scores, and rows of a target and its score,
the most asked for first. Reading it believes nothing: a row that is no target is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from typing import Annotated, Any

import msgspec

from .._types import Headers
from ..policy.coding import ACCEPT_ENCODING, known_codings
from ..policy.headers import invalid_reason
from ..policy.key import host_of, target_is_plain
from ..policy.request import builds_urls
from .targets import Origin, Target

MOST = 2_000
"""Targets counted in a process, and listed."""

MAX_BYTES = 256 * 1024
"""Bytes of a list."""

LONGEST = 1_024
"""Bytes of the longest target that is counted, with its host and the fields of its proxy."""

LIFETIME = 7 * 86_400.0
"""Seconds that a list is kept without being written again."""

HALF_LIFE = 3_600.0
"""Seconds in which a score halves."""

_FORMAT = 1


def is_too_long(origin: Origin, raw_path: bytes, query: bytes) -> bool:
    """Whether a target is not counted, because it would take too much room."""
    fields = (text for line in origin.proxied for text in line)
    texts = (origin.host, origin.root_path, raw_path, query, *fields)
    return sum(map(len, texts)) > LONGEST


class Counts:
    """Counts targets within a bound; where there is no room, the rarest makes room.

    What comes takes over the count of what it replaces (Space-Saving: Metwally, Agrawal and El
    Abbadi, 2005), so that what is frequent is never lost.

    Args:
        most: Targets at most.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._counts: dict[Target, float] = {}
        self._least = 0.0
        self._rarest: list[Target] = []

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, target: Target) -> None:
        """Count a request."""
        counts = self._counts
        if target not in counts and len(counts) >= self._most:
            counts[target] = counts.pop(self._take_rarest())
        counts[target] = counts.get(target, 0.0) + 1.0

    def _take_rarest(self) -> Target:
        """The oldest of those with the least count, which are looked for all at once.

        Where each new target made one search, a crawler would hold up the event loop.
        """
        counts = self._counts
        while True:
            while self._rarest:
                target = self._rarest.pop()
                if counts.get(target) == self._least:
                    return target
            self._least = min(counts.values())
            self._rarest = [one for one in reversed(counts) if counts[one] == self._least]

    def take(self) -> dict[Target, float]:
        """The counts; the next ones begin at zero."""
        counts, self._counts = self._counts, {}
        self._rarest = []
        return counts

    def give_back(self, counts: Mapping[Target, float]) -> None:
        """Add counts that could not be used; what there is no room for is forgotten."""
        for target, count in counts.items():
            if target in self._counts or len(self._counts) < self._most:
                self._counts[target] = self._counts.get(target, 0.0) + count


@dataclass(frozen=True, slots=True)
class Ranking:
    """How often targets are asked for in a fleet.

    Attributes:
        at: Unix seconds of the scores.
        scores: The score of each target.
    """

    at: float = 0.0
    scores: Mapping[Target, float] = field(default_factory=dict)

    def joined(self, counts: Mapping[Target, float], now: float) -> "Ranking":
        """With further counts, at a later moment."""
        # A clock that was put back leaves scores as they are.
        factor = 0.5 ** (max(0.0, now - self.at) / HALF_LIFE)
        scores = {target: score * factor for target, score in self.scores.items()}
        for target, count in counts.items():
            scores[target] = scores.get(target, 0.0) + count
        return Ranking(now, dict(_sorted(scores)[:MOST]))

    def top(self, count: int) -> list[Target]:
        """The most asked for, first of all the most."""
        return [target for target, _ in _sorted(self.scores)[:count]]


def _sorted(scores: Mapping[Target, float]) -> list[tuple[Target, float]]:
    return sorted(scores.items(), key=lambda pair: -pair[1])


@lru_cache(8)
def _origin(scheme: str, host: bytes, root_path: str, proxied: Headers) -> Origin | None:
    """The origin; None if it is not one that this process would have listed. Many rows have one."""
    if (
        scheme not in ("http", "https")
        or host_of(host, scheme) is None
        or not (root_path == "" or root_path.startswith("/"))
        or not root_path.isprintable()
        or not all(builds_urls(name) for name, _ in proxied)
        or invalid_reason(proxied) is not None
    ):
        return None
    return Origin(scheme, host, root_path, proxied)


class _Row(msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    scheme: str
    host: bytes
    root_path: str
    proxied: tuple[tuple[bytes, bytes], ...]
    raw_path: bytes
    query: bytes
    codings: bytes
    score: float

    def target(self) -> Target | None:
        """The target; None if it is not one that this process would have listed."""
        origin = _origin(self.scheme, self.host, self.root_path, self.proxied)
        if (
            origin is None
            or not target_is_plain(self.raw_path, self.query)
            or is_too_long(origin, self.raw_path, self.query)
            or (self.codings != b"" and known_codings(self.codings) is None)
            or not (isfinite(self.score) and self.score >= 0)
        ):
            return None
        headers = ((ACCEPT_ENCODING, self.codings),) if self.codings else ()
        return Target(origin, self.raw_path, self.query, headers)


class _List(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    form: Annotated[int, msgspec.Meta(ge=_FORMAT, le=_FORMAT)]
    at: float
    rows: Annotated[tuple[_Row, ...], msgspec.Meta(max_length=MOST)]


_read = msgspec.msgpack.Decoder(_List).decode
_encoder = msgspec.msgpack.Encoder()


def written(ranking: Ranking) -> bytes:
    """The list as bytes; the rarest targets are left out where they would be too many."""
    rows, size = [], 64
    for row in _rows(ranking):
        size += len(_encoder.encode(row))
        if size > MAX_BYTES:
            break
        rows.append(row)
    return _encoder.encode(_List(_FORMAT, ranking.at, tuple(rows)))


def _rows(ranking: Ranking) -> Iterator[_Row]:
    for target, score in _sorted(ranking.scores):
        codings = dict(target.headers).get(ACCEPT_ENCODING, b"")
        yield _Row(*target.origin, target.raw_path, target.query, codings, score)


def read(data: bytes) -> Ranking | None:
    """The list in these bytes; None if there is none that this release can read."""
    try:
        found: Any = _read(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not isfinite(found.at):
        return None
    scores = {row.target(): row.score for row in found.rows}
    scores.pop(None, None)
    return Ranking(found.at, scores)
