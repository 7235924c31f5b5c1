"""What an explanation is as JSON."""

from math import inf, nan

import pytest

from asgi_multitier.explain.explanation import Position, plain


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (inf, None),
        (-inf, None),
        (nan, None),
        (1.5, 1.5),
        (Position(gen="g", seq=1), {"gen": "g", "seq": 1}),
    ],
    ids=str,
)
def test_what_json_cannot_express_is_null(value: object, shown: object) -> None:
    """A lifetime without end would be no JSON."""
    assert plain({"values": (value,)}) == {"values": [shown]}
