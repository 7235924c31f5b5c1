"""Guards one by one, each at its edge."""

import pytest

from asgi_multitier.shadow.observation import Edit
from asgi_multitier.shadow.places import never_same
from asgi_multitier.shadow.rows import Key
from asgi_multitier.shadow.times import drops


@pytest.mark.parametrize(
    ("selectors", "dropped"),
    [
        (("path:/a",), True),
        (("tag:t",), True),
        (("tag:other", "path:/b"), False),
        ((), False),
    ],
)
def test_a_mutation_drops_what_it_names(selectors: tuple[str, ...], dropped: bool) -> None:
    """By its path or one of its tags."""
    edit = Edit("PUT /a", "/a", 1.0, 1.0, 1.0, selectors, 0)

    assert drops(edit, Key("/a", frozenset({"t", "u"}), [])) is dropped


@pytest.mark.parametrize(
    ("sequences", "fresh"),
    [
        ([[1, 2, 3, 4]], True),
        ([[1, 2, 3]], False),
        ([[1, 2], [1, 2], [1, 2]], True),
        ([[1], [2], [3], [4]], False),
        ([[1, 2, 3, 1]], False),
    ],
)
def test_three_pairs_show_that_nothing_comes_back(sequences: list[list[int]], fresh: bool) -> None:
    """Fewer do not, and answers that stand alone count for nothing."""
    assert never_same(sequences) is fresh
