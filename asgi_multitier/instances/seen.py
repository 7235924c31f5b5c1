"""Who has read the log up to a position, so that an invalidation is known to be in force there."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..entry import Born
from .instance import Instance


@dataclass(frozen=True, slots=True)
class Seen:
    """Who has read the log up to a position.

    Attributes:
        position: The position; of an empty generation if it is not known, since what this process
            wrote last could not be sent.
        by: How many instances have read it.
        of: How many run.
        seconds: How long it took to find out.
        instances: Each that runs, and whether it has read it.
    """

    position: Born
    by: int
    of: int
    seconds: float
    instances: tuple[tuple[Instance, bool], ...]

    @property
    def by_all(self) -> bool:
        """Whether all have."""
        return bool(self.position.gen) and self.by == self.of

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "position": {"gen": self.position.gen, "seq": self.position.seq},
            "by": self.by,
            "of": self.of,
            "seconds": round(self.seconds, 4),
            "instances": [
                {
                    "node": one.beat.node,
                    "host": one.beat.host,
                    "pid": one.beat.pid,
                    "seen": seen,
                    "seq": one.beat.seq,
                }
                for one, seen in self.instances
            ],
        }


def seen_of(position: Born, running: Iterable[Instance], seconds: float) -> Seen:
    """Which of the instances that run have read the log up to a position."""
    pairs = tuple((one, has_read(one, position)) for one in running)
    return Seen(position, sum(seen for _, seen in pairs), len(pairs), seconds, pairs)


def has_read(instance: Instance, position: Born) -> bool:
    """Whether an instance told that it has read the log up to a position."""
    beat = instance.beat
    return bool(position.gen) and beat.gen == position.gen and beat.seq >= position.seq
