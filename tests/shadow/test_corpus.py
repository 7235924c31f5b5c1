"""The corpus: what a cache makes of careless applications, and what shadow tells about them."""

from collections import Counter

import pytest

from tests.shadow.corpus import APPLICATIONS, CARELESS, Application
from tests.shadow.corpus.alike import Alike
from tests.shadow.corpus.running import cached, truth_of, uncached, wrong_answers

ENOUGH = 5
"""Wrong answers that a careless route gives at least."""

EXPLAINED = [one for one in CARELESS if all(e.cause != "random" for e in one.expected)]
"""Careless applications that are right where all requests are alike in what they go by."""


@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda one: one.name)
async def test_what_is_careless_gives_wrong_answers_and_only_that(
    application: Application,
) -> None:
    given, truth = await cached(application), await truth_of(application)
    wrong = wrong_answers(given, truth)

    found = Counter[str]()
    for one in wrong:
        step = one.given
        routes = {e.route for e in application.expected if e.is_of(step.method, step.path)}
        found[routes.pop() if routes else str(one)] += 1

    assert found.keys() == {one.route for one in application.expected}
    assert all(count >= ENOUGH for count in found.values()), found
    assert sum(step.hit for step in given) > ENOUGH


@pytest.mark.parametrize("application", EXPLAINED, ids=lambda one: one.name)
async def test_without_what_is_expected_of_it_an_application_is_correct(
    application: Application,
) -> None:
    alike = Alike(application.expected)

    given, truth = await cached(application, alike), await uncached(application, alike)

    assert [str(one) for one in wrong_answers(given, truth)] == []
    assert sum(step.hit for step in given) > ENOUGH
