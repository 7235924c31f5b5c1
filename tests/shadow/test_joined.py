"""Reports of several workers become one, whatever another release writes."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from asgi_multitier import Policy
from asgi_multitier.shadow import Cause, Finding, Report, RouteReport
from asgi_multitier.shadow.joined import Teller, cache_report, joined, part_json
from asgi_multitier.shadow.reading import Part, read_part
from tests.shadow.samples import EDIT, FIELD, PRICES, RANDOM, REPORT, RIGHT, TOKENS

WHOLE = Part(report=REPORT, observes=True, seconds=3600.5, pending=3, pid=4711)


def _told(part: Part) -> Any:
    return json.loads(json.dumps(part_json(part)))


FILLED: dict[Any, Any] = {
    bool: False,
    int: 5,
    float: 0.25,
    float | None: 60.0,
    str: "text",
    str | None: "text",
    Cause: Cause.EDIT,
    Mapping[str, int]: {"hit": 3},
    tuple[tuple[str, str], ...]: (("cookie", "theme"),),
}
"""By the type of a field, a value that it is not without."""


def _filled(kind: Any) -> Any:
    findings = {tuple[Finding, ...]: (FIELD,)}
    given = {one.name: (FILLED | findings)[one.type] for one in fields(kind)}
    made = kind(**given)
    assert not any(getattr(made, one.name) == one.default for one in fields(kind))
    return made


def test_what_a_worker_tells_is_read_whole() -> None:
    """Each field of it: one that is added to the report and not read here is found."""
    finding = _filled(Finding)
    route = replace(_filled(RouteReport), findings=(finding,))
    part = replace(WHOLE, report=Report(routes=(route, PRICES)))

    assert read_part(_told(part)) == part


NOTHING = [None, [], "text", 1, {}, {"routes": None}, {"routes": {}}]


@pytest.mark.parametrize("value", NOTHING, ids=repr)
def test_what_is_no_report_is_none(value: object) -> None:
    """Of a worker that answers something else nothing is counted."""
    assert read_part(value) is None


ODD: list[tuple[str, Any, Any]] = [
    ("requests", -1, 0),
    ("requests", True, 0),
    ("requests", 1.5, 0),
    ("origin_seconds", "1", 0.0),
    ("origin_seconds", float("nan"), 0.0),
    ("saved_seconds", -1, 0.0),
    ("saved_seconds", True, 0.0),
    ("saved_seconds", 2, 2.0),
    ("lifetime", "long", None),
    ("rule", 1, True),
    ("would", [], {}),
    ("would", {"hit": 1, "miss": -1}, {"hit": 1}),
    ("annotation", 5, None),
    ("findings", "none", ()),
    ("findings", [5, {"cause": "of another release"}, {"cause": []}], ()),
    ("findings", [{"cause": "random", "name": 5}], (Finding(cause=Cause.RANDOM),)),
    ("findings", [{"cause": "random", "others": 5}], (Finding(cause=Cause.RANDOM),)),
    (
        "findings",
        [{"cause": "random", "others": [5, {"cause": 1}, {"cause": "user", "name": ""}]}],
        (Finding(cause=Cause.RANDOM, others=(("user", ""),)),),
    ),
    ("of_another_release", 1, None),
]


@pytest.mark.parametrize(("name", "value", "read"), ODD, ids=lambda value: repr(value)[:40])
def test_what_is_of_another_kind_is_left_out(name: str, value: Any, read: Any) -> None:
    """The rest of the route counts."""
    part = read_part({"routes": [{"route": "GET /", name: value}, {"route": 5}, "no route"]})
    assert part is not None

    (route,) = part.report.routes
    expected = RouteReport(route="GET /")
    known = name in {field.name for field in fields(RouteReport)}
    assert route == (replace(expected, **{name: read}) if known else expected)
    assert (part.observes, part.seconds, part.pid) == (False, 0.0, None)


def test_figures_and_evidence_are_added() -> None:
    """The cause that explains most comes first, though each worker has seen another one."""
    there = replace(
        PRICES,
        requests=30,
        wrong=20,
        findings=(replace(EDIT, wrong=18, confidence=0.9), replace(FIELD, wrong=2)),
        lifetime=30.0,
        share=0.25,
        annotation='@cached(30, tags=["price:{id}"])',
    )
    (route,) = joined([Report(routes=(PRICES,)), Report(routes=(there,))]).routes

    assert (route.requests, route.hits, route.wrong) == (150, 180, 35)
    assert (route.origin_seconds, route.saved_seconds) == (49.0, 36.5)
    assert (route.saved_bytes, route.memory) == (180_000, 60_000)
    assert (route.share, route.would) == (0.25, {"hit": 180, "miss": 60})
    assert [(one.name, one.wrong) for one in route.findings] == [
        ("PUT /prices/{id}", 21),
        ("accept-currency", 14),
    ]
    assert route.findings[0].confidence == 0.9  # of who has seen most of it
    assert route.lifetime == 30.0
    assert route.annotation == '@cached(30, tags=["price:{id}"])'


NAMELESS = replace(EDIT, name="", wrong=5, annotation=None, remedy="Another process changes it")
OTHER = replace(EDIT, name="DELETE /prices/{id}", wrong=4)
LATE = replace(NAMELESS, cause=Cause.LATE_COMMIT)


@pytest.mark.parametrize(
    ("here", "there", "told"),
    [
        ((EDIT,), (NAMELESS,), [("edit", "PUT /prices/{id}", 8)]),
        (
            (NAMELESS, EDIT),
            (NAMELESS, OTHER),
            [("edit", "DELETE /prices/{id}", 14), ("edit", "PUT /prices/{id}", 3)],
        ),
        ((NAMELESS,), (NAMELESS,), [("edit", "", 10)]),
        ((EDIT,), (LATE,), [("late-commit", "", 5), ("edit", "PUT /prices/{id}", 3)]),
        ((FIELD,), (NAMELESS,), [("field", "accept-currency", 12), ("edit", "", 5)]),
        (
            (FIELD,),
            (replace(NAMELESS, wrong=99),),
            [("field", "accept-currency", 12), ("edit", "", 99)],
        ),
    ],
)
def test_what_another_process_changes_has_the_name_that_it_has_there(
    here: tuple[Finding, ...], there: tuple[Finding, ...], told: list[tuple[str, str, int]]
) -> None:
    """If it has one there; of what is none of its requests, none of them has a name."""
    reports = [Report(routes=(replace(PRICES, findings=each),)) for each in (here, there)]
    (route,) = joined(reports).routes

    assert [(str(one.cause), one.name, one.wrong) for one in route.findings] == told
    for one in route.findings:
        assert (one.annotation is None) == (one.name == "")


def test_a_proposal_of_one_is_kept_though_another_has_none() -> None:
    """A lifetime that is not known there neither."""
    bare = replace(PRICES, wrong=99, annotation=None, lifetime=None)
    (route,) = joined([Report(routes=(bare,)), Report(routes=(PRICES,))]).routes

    assert route.annotation == PRICES.annotation
    assert route.lifetime == 60.0


USER = Finding(cause=Cause.USER, name="", others=(("field", "authorization"),), wrong=9)
LIFETIME = Finding(cause=Cause.LIFETIME, wrong=9)
RARE = replace(RANDOM, wrong=0)
RULE = Policy(300, vary=["accept"])

AGREED: list[tuple[Finding, Policy | None, float | None, str | None]] = [
    (FIELD, RULE, None, '@cached(300, vary=["accept", "accept-currency"], cookies=["theme"])'),
    (EDIT, RULE, None, '@cached(300, vary=["accept"], cookies=["theme"])'),
    (RANDOM, RULE, None, "@no_cache"),
    (RARE, RULE, None, '@cached(300, vary=["accept"], cookies=["theme"])'),
    (USER, RULE, None, '@cached(300, vary=["accept", "authorization"], cookies=["theme"])'),
    (LIFETIME, RULE, 30.0, '@cached(30, vary=["accept"], cookies=["theme"])'),
    (LIFETIME, RULE, None, "@no_cache"),
    (FIELD, None, None, "@there"),  # the rule is not known
]


@pytest.mark.parametrize(("finding", "policy", "lifetime", "annotation"), AGREED)
def test_what_is_proposed_is_for_the_causes_of_all(
    finding: Finding, policy: Policy | None, lifetime: float | None, annotation: str
) -> None:
    """One worker has seen a cookie, and another one something else."""
    theme = Finding(cause=Cause.COOKIE, name="theme", wrong=30)
    one = replace(PRICES, wrong=1, findings=(theme,), lifetime=None, annotation="@here")
    other = replace(PRICES, wrong=2, findings=(finding,), lifetime=lifetime, annotation="@there")
    policies = {} if policy is None else {PRICES.route: policy}
    (route,) = joined([Report(routes=(one,)), Report(routes=(other,))], policies).routes

    assert route.annotation == annotation


@pytest.mark.parametrize("policy", [None, RULE])
def test_changes_by_themselves_are_of_the_mutation_that_another_process_names(
    policy: Policy | None,
) -> None:
    """It drops nothing, so the others do not hear of it."""
    here = replace(PRICES, findings=(EDIT,), annotation=None)
    there = replace(PRICES, wrong=99, findings=(LIFETIME,), lifetime=None, annotation="@no_cache")
    policies = {} if policy is None else {PRICES.route: policy}
    (route,) = joined([Report(routes=(here,)), Report(routes=(there,))], policies).routes

    assert [(str(one.cause), one.name, one.wrong) for one in route.findings] == [
        ("edit", "PUT /prices/{id}", 12)
    ]
    assert (route.annotation, route.lifetime) == (None, PRICES.lifetime)
    assert route.findings[0].annotation == EDIT.annotation


def test_changes_by_themselves_stay_where_no_mutation_is_named() -> None:
    """Both have seen them."""
    one = replace(PRICES, findings=(LIFETIME,))
    (route,) = joined([Report(routes=(one,))] * 2).routes

    assert [(one.cause, one.wrong) for one in route.findings] == [(Cause.LIFETIME, 18)]


def test_what_all_propose_is_left_as_it_is() -> None:
    """As each of them has read the rule."""
    (route,) = joined([Report(routes=(PRICES,))] * 2, {PRICES.route: RULE}).routes

    assert route.annotation == PRICES.annotation


def test_routes_with_most_wrong_answers_come_first() -> None:
    """Then those that save most; a route that one worker alone has seen is there."""
    one, other = Report(routes=(RIGHT, TOKENS)), Report(routes=(PRICES, RIGHT))

    assert [route.route for route in joined([one, other]).routes] == [
        "GET /prices/{id}",
        "GET /token",
        "GET /products/{id}",
    ]
    assert joined([]) == Report()
    assert joined([one]) is one


def test_a_report_says_who_has_not_answered() -> None:
    """The sums are those of the others."""
    workers = [Teller(worker=0, pid=1), Teller(worker=1, missing="silent")]
    short = Part(report=Report(), observes=False, seconds=7.0, pending=2, pid=2)
    report = cache_report("shop", "host", [WHOLE, short], workers)

    assert not report.complete
    assert report.observes
    assert (report.seconds, report.pending) == (3600.5, 5)
    told = report.as_json()
    assert json.loads(json.dumps(told)) == told
    assert told["workers"][1] == {"worker": 1, "pid": None, "missing": "silent"}
    assert (told["complete"], told["scope"]) == (False, "host")
    assert (told["requests"], told["hits"], told["wrong"]) == (180, 139, 22)
    assert cache_report("shop", "process", [], []).seconds == 0.0
    assert not cache_report("shop", "process", [short], workers[:1]).observes
