"""The rows of the HTTP benchmark: whom they ask, and what they are compared with."""

import pytest

from benchmarks import http
from benchmarks.http import FIELDS, ROWS, SERVERS, with_bases

pytestmark = pytest.mark.no_cover  # it measures the package and asserts nothing of it


@pytest.mark.parametrize("name", ROWS)
def test_each_row_has_a_server_and_a_base(name: str) -> None:
    """Its server and fields are known, and the bare application gets the same requests."""
    row = ROWS[name]

    assert row.server in SERVERS
    assert row.fields in {*FIELDS, http.CONDITION}
    assert row.base in {base.base for base in with_bases([row]) if base.server == "bare"}


def test_bases_are_measured_once() -> None:
    """Rows with the same fields share one."""
    rows = with_bases(list(ROWS.values()))
    bases = [row.base for row in rows if row.server == "bare"]

    assert len(bases) == len(set(bases))
    assert {row.base for row in rows} == set(bases)


def test_rows_compare_with_the_same_round() -> None:
    """The median is that of the ratios, not the ratio of the medians."""
    server = http.Server(0, 0)
    bare, own = (http.Measured(ROWS[name], server) for name in ("bare", "l1"))
    bare.figures = [(100.0, 1.0), (200.0, 1.0), (400.0, 1.0)]
    own.figures = [(50.0, 1.0), (50.0, 1.0), (400.0, 1.0)]

    assert own.cells(bare)[1:] == ["50", "0.50", "0.25 to 1.00", "1.00"]
