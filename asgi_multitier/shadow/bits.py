"""Evidence in bits: how much shorter a sequence is told if something is taken for its cause.

A *coin* learns how often something happens while it is told, so that a rule costs nothing where it
holds, and what has no rule costs about a bit each time.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import exp, expm1, lgamma, log, log2
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
        self.cost = 0.0

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


_STRAY: Final = 20.0
"""One in so many sequences comes back to an earlier answer although answers change with time."""


def stays(sequences: Iterable[Sequence[int]]) -> float:
    """Bits for answers that change with time, and against answers that come by chance.

    What changes with time does not come back: all equal answers stand together, which few orders
    of the same answers have.
    """
    bits = 0.0
    for values in sequences:
        kinds = Counter(values)
        if len(kinds) < 2 or len(kinds) == len(values):
            continue
        together = arrangements(kinds.values()) - arrangements([1] * len(kinds))
        runs = 1 + sum(one != other for one, other in pairwise(values))
        if runs == len(kinds):
            bits += together
        elif together > 0.0:
            bits -= log2(_STRAY * (1.0 - exp(-_LN2 * together)))
    return bits


def confidence(bits: float) -> float:
    """The chance that so much evidence is none, turned round: from 0 to 0.99."""
    return round(min(0.99, 1.0 - exp(-_LN2 * max(bits, 0.0))), 2)
