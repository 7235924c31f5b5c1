"""The edges of what there is time for."""

from asgi_multitier.asgi.shadowing.budget import AHEAD, LIMIT, Budget


def test_no_more_targets_until_more_than_the_burst_is_left() -> None:
    """Exactly so much is not more; after that, half of it is left."""
    budget = Budget(0.0)
    budget.spent(2 * AHEAD, 0.0)
    budget.spent(0.0, 0.75 * AHEAD / LIMIT)
    assert (budget.share, budget._left) == (0.5, AHEAD)

    budget.spent(0.0, 0.76 * AHEAD / LIMIT)
    assert (budget.share, budget._left) == (1.0, AHEAD / 2)
