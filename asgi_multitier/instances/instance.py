"""One instance, as its beats show it. Pure.

Times are those of the store, whose clock all beats share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .beat import Beat

SILENT = 15.0
"""Seconds without a beat after which an instance counts as silent: three beats are missing."""

GONE = 600.0
"""Seconds without a beat after which a silent instance is not shown any more."""

ENDED = 60.0
"""Seconds for which an instance is shown that has ended or was switched off."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of the application.

    Attributes:
        beat: What it told last.
        state: `"up"`; `"silent"` if beats are missing; `"replaced"` if they are, and another
            process of its host and application has started since; `"closed"` if it has ended;
            `"off"` if its cache was switched off, after which it tells nothing more.
        age: Seconds since it told that.
        behind: Records of its generation that others had applied before, and it had not.
        rate: Requests a second between its last two beats; None if there is one only.
        is_self: Whether it is the process that has read this.
    """

    beat: Beat
    state: str
    age: float
    behind: int
    rate: float | None
    is_self: bool = False

    @property
    def shown(self) -> bool:
        """Whether its last beat is recent enough for it to be listed."""
        return self.age <= (ENDED if self.state in ("closed", "off") else GONE)

    @property
    def name(self) -> str:
        """Host and process, for people."""
        return f"{self.beat.host or self.beat.node[:8]}/{self.beat.pid}"

    @property
    def ratio(self) -> float | None:
        """Share of requests without a run of the origin of their own; None if there were none."""
        asked = self.beat.hits + self.beat.misses
        return self.beat.hits / asked if asked else None

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        beat = self.beat
        return {
            "node": beat.node,
            "self": self.is_self,
            "host": beat.host,
            "pid": beat.pid,
            "application": beat.application,
            "release": beat.release,
            "version": beat.version,
            "started": beat.started,
            "mode": beat.mode,
            "state": self.state,
            "age": round(self.age, 3),
            "gen": beat.gen,
            "seq": beat.seq,
            "behind": self.behind,
            "trusted": beat.trusted,
            "queued": beat.queued,
            "lag": beat.lag,
            "clock_offset": beat.clock_offset,
            "requests": beat.requests,
            "hits": beat.hits,
            "misses": beat.misses,
            "passes": max(0, beat.requests - beat.hits - beat.misses),
            "ratio": self.ratio,
            "rate": self.rate,
            "l1": {"bytes": beat.l1_bytes, "limit": beat.l1_limit, "entries": beat.l1_entries},
            "breakers": dict(beat.breakers),
            "url": beat.url,
        }


def instance_of(
    beats: Sequence[tuple[float, Beat]],
    now: float,
    own: str,
    reached: Callable[[str, float], int],
    since: float,
) -> Instance:
    """What the beats of an instance show.

    Args:
        beats: All that are known, oldest first, each with its time.
        now: Unix seconds by the clock of the store.
        own: The node of the process that reads this.
        reached: The furthest number of a generation told before a time.
        since: Seconds that others have run since its last beat, as far as they told.
    """
    at, beat = beats[-1]
    age = max(0.0, now - at, since)
    if beat.closing:
        state = "closed"
    elif beat.mode == "off":
        state = "off"
    elif age > SILENT:
        state = "silent"
    else:
        state = "up"
    return Instance(
        beat=beat,
        state=state,
        age=age,
        behind=max(0, reached(beat.gen, at) - beat.seq) if beat.gen else 0,
        rate=_rate(beats),
        is_self=beat.node == own,
    )


def _rate(beats: Sequence[tuple[float, Beat]]) -> float | None:
    """Requests a second between the last two beats that are a second or more apart."""
    at, beat = beats[-1]
    for before, earlier in reversed(beats[:-1]):
        if at - before >= 1.0 and beat.requests >= earlier.requests:
            return round((beat.requests - earlier.requests) / (at - before), 3)
    return None
