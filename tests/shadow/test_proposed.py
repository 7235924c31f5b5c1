"""What shadow proposes for applications of the corpus in which nothing is cached yet."""

import pytest

from tests.shadow.corpus import APPLICATIONS, Application
from tests.shadow.corpus.pasting import bare, pasted
from tests.shadow.corpus.running import cached, shadowed, truth_of, wrong_answers

NAMES = (
    # Inputs that have to be named, and clients that get answers of their own.
    *("currency", "feature-flags", "accept", "experiment", "session-page", "account", "personal"),
    *("nearest", "tenants", "currency-and-edit"),
    # Answers that are never the same.
    *("generated-at", "form-token", "counter", "streams"),
    # Changes that have to be named.
    *("no-invalidation", "comments", "one-of-two", "bulk-import", "coupons", "seats", "moments"),
)
"""Those in which an answer need not be old, as no data change by themselves."""


@pytest.mark.parametrize(
    "application", [one for one in APPLICATIONS if one.name in NAMES], ids=lambda one: one.name
)
async def test_what_is_proposed_where_nothing_is_cached_gives_no_wrong_answer(
    application: Application,
) -> None:
    _, report = await shadowed(bare(application))
    wanted = pasted(bare(application), report)

    given = await cached(wanted)

    assert [str(one) for one in wrong_answers(given, await truth_of(application))] == []


def test_all_of_them_are_in_the_corpus() -> None:
    assert {*NAMES} <= {one.name for one in APPLICATIONS}
