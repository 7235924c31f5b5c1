"""The judge of the corpus: what it takes for named, and what for an accusation."""

import pytest

from asgi_multitier.shadow.found import Cause, Finding, RouteReport
from asgi_multitier.shadow.report import Report
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.expected import Expected
from tests.shadow.corpus.judging import accused, not_named

ROUTE = "GET /a/{n}"
FIELD = Finding(cause=Cause.FIELD, name="x-lang", wrong=3)
OTHER = Finding(cause=Cause.COOKIE, name="theme", wrong=9)
EDIT = Finding(cause=Cause.EDIT, name="PUT /a/{n:int}", wrong=3)
RANDOM = Finding(cause=Cause.RANDOM, place="$.at", wrong=3)
TAG = Finding(cause=Cause.TAG, name="things:1", wrong=3)
LIFETIME = Finding(cause=Cause.LIFETIME, wrong=3)

EXPECTED = Expected(ROUTE, "field", "x-lang")


def careless(*expected: Expected) -> Application:
    return Application("one", None, None, expected)  # type: ignore[arg-type]


def report_of(*findings: Finding, wrong: int = 9, route: str = ROUTE, fits: float = 60) -> Report:
    return Report(routes=(RouteReport(route=route, wrong=wrong, findings=findings, lifetime=fits),))


@pytest.mark.parametrize(
    ("expected", "report", "is_named"),
    [
        (EXPECTED, report_of(FIELD), True),
        (EXPECTED, report_of(OTHER, FIELD), True),
        (EXPECTED, report_of(OTHER, OTHER, FIELD), False),
        (EXPECTED, report_of(OTHER), False),
        (EXPECTED, report_of(), False),
        (EXPECTED, Report(), False),
        (EXPECTED, report_of(FIELD, wrong=0), False),
        (EXPECTED, report_of(Finding(cause=Cause.FIELD, name="x-lang")), False),
        (EXPECTED, report_of(Finding(cause=Cause.FIELD, name="x-language", wrong=1)), False),
        (EXPECTED, report_of(Finding(cause=Cause.COOKIE, name="x-lang", wrong=1)), False),
        (EXPECTED, report_of(FIELD, route="GET /b"), False),
        (EXPECTED, report_of(FIELD, route="GET /a/{n:int}"), True),
        (Expected("GET /a/{n:int}", "edit", "PUT /a/{n}"), report_of(EDIT), True),
        (Expected(ROUTE, "edit", "POST /a/{n}"), report_of(EDIT), False),
        (Expected(ROUTE, "random"), report_of(RANDOM), True),
        (Expected(ROUTE, "random", place="$.at"), report_of(RANDOM), True),
        (Expected(ROUTE, "random", place="$.id"), report_of(RANDOM), False),
        (Expected(ROUTE, "tag", "PUT /a", alternatives=(("tag", "*things:*"),)), report_of(TAG), 1),
        (Expected(ROUTE, "tag", "PUT /a"), report_of(TAG), False),
        (Expected(ROUTE, "user", alternatives=(("cookie", None),)), report_of(OTHER), True),
        (Expected(ROUTE, "lifetime", fits=20), report_of(LIFETIME, fits=20), True),
        (Expected(ROUTE, "lifetime", fits=20), report_of(LIFETIME, fits=21), False),
        (Expected(ROUTE, "lifetime", fits=20), report_of(LIFETIME, fits=0), False),
    ],
)
def test_a_cause_is_named_among_the_first_findings_of_its_route(
    expected: Expected, report: Report, is_named: bool
) -> None:
    assert (not not_named(careless(expected), report)) is bool(is_named)


def test_each_of_two_causes_is_to_be_named() -> None:
    both = careless(EXPECTED, Expected(ROUTE, "edit", "PUT /a/{n}"))

    assert not_named(both, report_of(FIELD, EDIT)) == []
    (missing,) = not_named(both, report_of(FIELD, OTHER))
    assert missing.startswith("edit PUT /a/{n} at GET /a/{n}: 9 of 0 wrong, fits 60; field")


@pytest.mark.parametrize(
    ("report", "is_accused"),
    [
        (Report(), False),
        (report_of(wrong=0), False),
        (report_of(wrong=1), True),
        (report_of(FIELD, wrong=0), True),
        (report_of(Finding(cause=Cause.RANDOM), wrong=0), False),
    ],
)
def test_any_wrong_answer_that_is_told_of_a_correct_route_accuses_it(
    report: Report, is_accused: bool
) -> None:
    assert bool(accused(careless(), report)) is is_accused
    assert bool(accused(careless(Expected("GET /b", "field", "x")), report)) is is_accused
    assert accused(careless(EXPECTED), report) == []
