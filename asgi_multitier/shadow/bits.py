"""Evidence in bits: how much shorter a sequence is told if something is taken for its cause.

A *coin* learns how often something happens while it is told, so that a rule costs nothing where it
holds, and what has no rule costs about a bit each time.
"""

from collections.abc import Iterable
from math import exp, lgamma, log, log2

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


def arrangements(counts: Iterable[int]) -> float:
    """Bits of the number of orders in which so many things of each kind can stand."""
    total, bits = 0, 0.0
    for count in counts:
        total += count
        bits -= lgamma(count + 1)
    return (bits + lgamma(total + 1)) / _LN2


def confidence(bits: float) -> float:
    """The chance that so much evidence is none, turned round: from 0 to 0.99."""
    return round(min(0.99, 1.0 - exp(-_LN2 * max(bits, 0.0))), 2)
