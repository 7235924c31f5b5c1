"""What shadow tells about the applications of the corpus: which cause it names, what it accuses."""

import pytest

from asgi_multitier.shadow.report import Report
from tests.shadow.corpus import APPLICATIONS, CARELESS, CORRECT, Application
from tests.shadow.corpus.judging import accused, not_named
from tests.shadow.corpus.pasting import pasted
from tests.shadow.corpus.running import cached, shadowed, truth_of, wrong_answers
from tests.shadow.corpus.traffic import Step

NOT_CURED = {
    "get-that-changes": "no annotation lets a GET drop anything",
    "memo": "the application's own memory is old too, at other times than without a cache",
}
"""Applications that are not right with what their report proposes, and why."""

_runs: dict[str, tuple[list[Step], Report]] = {}


async def run_of(application: Application) -> tuple[list[Step], Report]:
    """One run of each application, for all tests of a process."""
    if application.name not in _runs:
        _runs[application.name] = await shadowed(application)
    return _runs[application.name]


@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda one: one.name)
async def test_the_cause_is_named_and_what_is_right_is_not_accused(
    application: Application,
) -> None:
    _, report = await run_of(application)

    assert not_named(application, report) == []
    assert accused(application, report) == []


@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda one: one.name)
async def test_clients_get_what_the_application_answers_alone(application: Application) -> None:
    given, _ = await run_of(application)
    truth = await truth_of(application)

    assert [vars(step) for step in given] == [vars(step) for step in truth]


async def test_nine_in_ten_are_named_and_none_is_accused() -> None:
    reports = {one.name: (await run_of(one))[1] for one in APPLICATIONS}

    unnamed = {one.name for one in CARELESS if not_named(one, reports[one.name])}
    wrongly = {one.name for one in APPLICATIONS if accused(one, reports[one.name])}

    assert len(CARELESS) >= 30
    assert len(CORRECT) >= 10
    assert len(unnamed) <= len(CARELESS) // 10, unnamed
    assert wrongly == set()


@pytest.mark.parametrize(
    "application", [one for one in CARELESS if one.name not in NOT_CURED], ids=lambda one: one.name
)
async def test_what_is_proposed_can_be_pasted_and_leaves_no_wrong_answer(
    application: Application,
) -> None:
    _, report = await run_of(application)
    truth = await truth_of(application)

    wrong = wrong_answers(await cached(pasted(application, report)), truth)

    if any(one.cause == "lifetime" for one in application.expected):
        # Any lifetime lets data be old that change by themselves: a short one, few.
        assert len(wrong) * 4 <= len(wrong_answers(await cached(application), truth))
    else:
        assert [str(one) for one in wrong] == []
