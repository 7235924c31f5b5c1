"""What the beats of all instances show together. Pure: beats in, a picture out.

How far an instance is behind is what others had applied before its own beat, less what it had
applied itself: beats of different moments are not compared otherwise.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .beat import Beat, Heard
from .findings import Finding, findings_of
from .instance import GONE, SILENT, Instance, instance_of
from .replacing import replaced, spans_of

WINDOW = GONE + 2 * SILENT
"""Seconds whose beats are read: also some from before the last beat of each that is shown."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """All instances of a namespace.

    Attributes:
        namespace: Which.
        source: Where they tell of themselves: `"redis"`, `"sqlite"`, or `"none"` where this process
            is the only one that it can know of.
        complete: Whether that could be read; otherwise only this process is shown.
        now: Unix seconds, by the clock of the store.
        instances: Each process, by host and process number.
        findings: What a person should look at.
    """

    namespace: str
    source: str
    complete: bool
    now: float
    instances: tuple[Instance, ...]
    findings: tuple[Finding, ...] = field(default=())

    @property
    def up(self) -> tuple[Instance, ...]:
        """Those that run."""
        return tuple(one for one in self.instances if one.state == "up")

    @property
    def position(self) -> tuple[str, int]:
        """The generation that most of those that run are in, and the furthest number in it."""
        gens = [one.beat.gen for one in self.up if one.beat.gen]
        if not gens:
            return "", 0
        gen = max(sorted(set(gens)), key=gens.count)
        return gen, max(one.beat.seq for one in self.up if one.beat.gen == gen)

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        gen, seq = self.position
        return {
            "namespace": self.namespace,
            "source": self.source,
            "complete": self.complete,
            "now": self.now,
            "position": {"gen": gen, "seq": seq},
            "instances": [one.as_json() for one in self.instances],
            "findings": [
                {"kind": one.kind, "text": one.text, "nodes": list(one.nodes)}
                for one in self.findings
            ],
        }


def fleet_of(
    heard: Sequence[Heard], *, namespace: str, source: str, now: float, own: str, complete: bool
) -> Fleet:
    """The picture that beats give.

    Args:
        heard: The beats, oldest first, this process's own included.
        namespace: Whose.
        source: Where they come from.
        now: Unix seconds by the clock of the store.
        own: This process's node; "" if it is none.
        complete: Whether they could be read.
    """
    told: dict[str, list[tuple[float, Beat]]] = {}
    unreadable = 0
    for one in heard:
        if one.beat is not None:
            told.setdefault(one.beat.node, []).append((one.at, one.beat))
        elif one.at >= now - SILENT:
            unreadable += 1
    reached = _reached(heard)
    spans = spans_of(heard)
    instances = [
        instance_of(beats, now, own, reached, spans[node].since) for node, beats in told.items()
    ]
    instances = [one for one in replaced(instances, spans) if one.shown]
    instances.sort(key=lambda one: (one.beat.host, one.beat.pid, one.beat.node))
    findings = tuple(findings_of(instances, unreadable))
    return Fleet(namespace, source, complete, now, tuple(instances), findings)


def _reached(heard: Iterable[Heard]) -> Callable[[str, float], int]:
    """A function that gives the furthest number of a generation told before a time."""
    told: dict[str, tuple[list[float], list[int]]] = {}
    for one in heard:
        if one.beat is not None and one.beat.gen:
            times, numbers = told.setdefault(one.beat.gen, ([], [0]))
            times.append(one.at)
            numbers.append(max(one.beat.seq, numbers[-1]))

    def reached(gen: str, before: float) -> int:
        times, numbers = told[gen]
        return numbers[bisect_left(times, before)]

    return reached
