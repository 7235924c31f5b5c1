"""Evidence in bits: how much shorter a sequence is told if something is taken for its cause.

A *coin* learns how often something happens while it is told, so that a rule costs nothing where it
holds, and what has no rule costs about a bit each time.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from math import exp, expm1, lgamma, log, log2, sqrt
from typing import Final

_LN2 = log(2)


class Coin:
    """The cost of events that happen or not, as their frequency is learned.

    Attributes:
        cost: Bits so far.
    """

    __slots__ = ("_no", "_yes", "cost")

    def __init__(self, yes: float, no: float) -> None:
        """Begin with what is expected: counts of events and of their absence, as if seen."""
        self._yes, self._no = yes, no
        self.cost: float = 0.0

    def tell(self, *, happened: bool) -> None:
        """Add one event, or its absence."""
        seen = self._yes if happened else self._no
        self.cost -= log2(seen / (self._yes + self._no))
        if happened:
            self._yes += 1.0
        else:
            self._no += 1.0


_RATES: Final = tuple(2.0**power for power in range(-8, 6))
"""Changes in the usual time between two looks: what is tried."""


class Clock:
    """The cost of changes that come by themselves, whatever their rate.

    The longer two looks are apart, the likelier is a change between them.
    """

    __slots__ = ("_logs",)

    def __init__(self) -> None:
        """Begin with all rates as likely as each other."""
        self._logs = [0.0] * len(_RATES)

    def tell(self, *, happened: bool, apart: float) -> None:
        """Add two looks: whether something has changed, and how far apart they are."""
        for at, rate in enumerate(_RATES):
            exponent = -rate * apart
            self._logs[at] += log(max(-expm1(exponent), 1e-12)) if happened else exponent

    @property
    def cost(self) -> float:
        """Bits so far."""
        most = max(self._logs)
        mean = sum(exp(one - most) for one in self._logs) / len(self._logs)
        return -(most + log(mean)) / _LN2


def arrangements(counts: Iterable[int]) -> float:
    """Bits of the number of orders in which so many things of each kind can stand."""
    total, bits = 0, 0.0
    for count in counts:
        total += count
        bits -= lgamma(count + 1)
    return (bits + lgamma(total + 1)) / _LN2


_STRAY: Final = log2(20.0)
"""Bits against a change with time where an earlier answer comes back: one in so many does."""


def stays(sequences: Iterable[Sequence[int]]) -> float:
    """Bits for answers that change with time, and against answers that come by chance.

    What changes with time stays for a while, so that equal answers stand together more often than
    if the same answers stood in any order; and most often it does not come back.
    """
    return sum(_stays(values) for values in sequences)


def _stays(values: Sequence[int]) -> float:
    kinds = Counter(values)
    if len(kinds) < 2 or len(kinds) == len(values):
        return 0.0
    runs = 1 + sum(one != other for one, other in pairwise(values))
    together = arrangements(kinds.values()) - arrangements([1] * len(kinds))
    if runs == len(kinds):
        return together
    fewer = max(_fewer_runs(kinds.values(), runs), 0.0)
    if fewer > _FEWER:
        return fewer * fewer / (2 * _LN2) - _STRAY
    return -log2(1.0 + (exp(_STRAY * _LN2) - 1.0) * (1.0 - exp(-_LN2 * together)))


_FEWER: Final = 1.0
"""Standard deviations: fewer runs than that are few."""


def _fewer_runs(counts: Collection[int], runs: int) -> float:
    """By how many standard deviations runs are fewer than in any order (Wald and Wolfowitz)."""
    total = sum(counts)
    squares, cubes = sum(n**2 for n in counts), sum(n**3 for n in counts)
    mean = (total * (total + 1) - squares) / total
    spread = squares * (squares + total * (total + 1)) - 2 * total * cubes - total**3
    deviation = sqrt(max(spread, 0) / (total**2 * (total - 1)))
    return (mean - runs) / deviation if deviation else 0.0


def confidence(bits: float) -> float:
    """The chance that so much evidence is none, turned round: from 0 to 0.99."""
    return round(min(0.99, 1.0 - exp(-_LN2 * max(bits, 0.0))), 2)
