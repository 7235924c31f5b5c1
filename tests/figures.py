"""What tests have measured, beside what is promised: one table at the end of a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        scenario: What was done.
        measured: What came of it.
        bar: What is promised.
        seed: What makes the run come again, or "".
    """

    scenario: str
    measured: str
    bar: str
    seed: str = ""


class Figure(Protocol):
    """Takes one figure for the table."""

    def __call__(
        self, scenario: str, measured: object, bar: object, *, seed: object = ""
    ) -> None: ...


PROPERTY = "figure"
"""The name under which a test's report carries its figures, also from another process."""


def noted(reports: Iterable[Iterable[tuple[str, Sequence[str]]]]) -> list[Row]:
    """The figures among the properties of reports."""
    return [Row(*value) for properties in reports for name, value in properties if name == PROPERTY]


def seconds(value: float) -> str:
    """A time as a reader wants it."""
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def lines(rows: list[Row]) -> list[str]:
    """The table, its columns as wide as what stands in them."""
    cells = [("scenario", "measured", "bar", "seed")]
    cells += [(row.scenario, row.measured, row.bar, row.seed) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    return [
        "  ".join(text.ljust(wide) for text, wide in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
