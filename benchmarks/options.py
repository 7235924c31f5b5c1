"""What a user may ask of a benchmark, and how its figures are shown."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


class UsageError(Exception):
    """The command line asks for something that does not exist; the text says what does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `python -m benchmarks`.

    Attributes:
        cases: Names of the rows to measure; None for all.
        rounds: Rounds of each row; None for the benchmark's own number.
        seconds: Length of a round that lasts a given time; None for the benchmark's own.
        full: Whether the largest sizes are measured as well, where they take minutes.
        peers: Whether other caches for Python are installed for the run, and measured.
        environments: Where they are installed, and kept for later runs; None for a folder that is
            removed after the run.
    """

    cases: tuple[str, ...] | None = None
    rounds: int | None = None
    seconds: int | None = None
    full: bool = False
    peers: bool = False
    environments: Path | None = None

    def chosen(self, names: Iterable[str]) -> list[str]:
        """The names that are asked for, in their own order.

        Raises:
            UsageError: If a name that is asked for is not there.
        """
        known = list(names)
        unknown = [name for name in self.cases or () if name not in known]
        if unknown:
            raise UsageError(f"no case {', '.join(unknown)}; expected some of {', '.join(known)}")
        return [name for name in known if self.cases is None or name in self.cases]


Part: TypeAlias = Callable[[Options], Iterable[str]]
"""A benchmark: takes the options, returns or yields the lines of its report."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of the figures of all rounds, and how far they lie apart."""

    figures: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure of the middle round."""
        return statistics.median(self.figures)

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest."""
        return min(self.figures), max(self.figures)

    @property
    def tenths(self) -> tuple[float, float]:
        """Nine of ten figures are at least the first; nine of ten are at most the second."""
        if len(self.figures) == 1:
            return self.ends
        tenths = statistics.quantiles(self.figures, n=10, method="inclusive")
        return tenths[0], tenths[-1]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table: the first column is text, the others are figures."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
        return f"| {' | '.join(padded)} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return [line(lines[0]), f"|{rule}|", *map(line, lines[1:])]
