"""How long a caller waits for a run, who has opened it or has joined it."""

from typing import Any

import pytest

from asgi_multitier.config import Policy
from asgi_multitier.values.caller import Patience, patience_of

DEFAULT = 5.0


@pytest.mark.parametrize(
    ("options", "leads", "expected"),
    [
        pytest.param({}, True, Patience(None, None, is_hard=True), id="opener"),
        pytest.param({}, False, Patience(5, None, is_hard=False), id="joined"),
        pytest.param(
            {"coalesce_timeout": 2}, False, Patience(2, None, is_hard=False), id="joined, his own"
        ),
        pytest.param(
            {"coalesce_timeout": 2}, True, Patience(None, None, is_hard=True), id="not for openers"
        ),
        pytest.param({"hard_timeout": 3}, True, Patience(3, None, is_hard=True), id="opener, hard"),
        pytest.param(
            {"hard_timeout": 3}, False, Patience(3, None, is_hard=True), id="hard comes first"
        ),
        pytest.param(
            {"hard_timeout": 9}, False, Patience(5, None, is_hard=False), id="hard comes later"
        ),
        pytest.param({"soft_timeout": 1}, True, Patience(None, 1, is_hard=True), id="soft"),
        pytest.param(
            {"soft_timeout": 1}, False, Patience(5, 1, is_hard=False), id="joined, soft first"
        ),
        pytest.param(
            {"soft_timeout": 7}, False, Patience(5, None, is_hard=False), id="soft would be last"
        ),
        pytest.param(
            {"soft_timeout": 5}, False, Patience(5, None, is_hard=False), id="both at once"
        ),
    ],
)
def test_patience_is_the_shortest_of_what_was_said(
    options: dict[str, Any], leads: bool, expected: Patience
) -> None:
    """Only one's own `hard_timeout` is hard; a soft one counts where it comes first."""
    policy = Policy(60, stale_if_error=60, **options)

    assert expected == patience_of(policy, DEFAULT, leads=leads)
