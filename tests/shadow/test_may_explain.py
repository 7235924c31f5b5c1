"""When an attribute may explain although too little is known of it."""

from typing import Any

import pytest

from asgi_multitier.shadow.explaining import may_explain
from asgi_multitier.shadow.rows import Column, Key, Row


@pytest.mark.parametrize(
    ("values", "answers", "explains"),
    [
        ([1, 2, 1, 2, 1], [1, 2, 1, 2, 1], True),
        ([1, 2, 1, 2], [1, 2, 1, 2], False),
        ([1, 2, 1, 2, 1, 1], [1, 2, 1, 2, 1, 3], False),
    ],
)
def test_three_have_got_the_answer_again(
    values: list[int], answers: list[int], explains: bool
) -> None:
    """Of an earlier request with the same value, and none another one."""
    unread: Any = None
    rows = [Row(unread, unread, None, answer, None) for answer in answers]

    found = may_explain([Key("/a", frozenset(), rows)], [], [Column((), [values])])
    assert found is explains
