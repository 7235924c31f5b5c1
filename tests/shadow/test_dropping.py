"""A mutation that several routes change after has one annotation, for all of them."""

from dataclasses import replace

import pytest

from asgi_multitier import Policy
from asgi_multitier.shadow import Cause, Finding, Report
from asgi_multitier.shadow.joined import joined
from tests.shadow.play import Play
from tests.shadow.samples import EDIT, FIELD, PRICES, RIGHT

TOGETHER = [
    (
        '@invalidates(paths=["/a"])',
        '@invalidates(paths=["/b/{id}"])',
        '@invalidates(paths=["/a", "/b/{id}"])',
    ),
    (
        '@invalidates(tags=["a"], settle=2)',
        '@invalidates(patterns=["/b/*"], settle=1)',
        '@invalidates(tags=["a"], patterns=["/b/*"], settle=2)',
    ),
    ('@invalidates(tags=["a"])', '@invalidates(tags=["a"])', '@invalidates(tags=["a"])'),
    ('@invalidates(tags=["a"])', "@invalidates(", None),
    ('@invalidates(tags=["a"])', "@invalidates(tags=5)", None),
    ('@invalidates(tags=["a"])', '@invalidates(tags=["b"], settle="x")', None),
    ('@invalidates(tags=["a"])', "@invalidates(tags=name)", None),
    ('@invalidates(tags=["a"])', "@other()", None),
]


@pytest.mark.parametrize(("one", "other", "line"), TOGETHER)
def test_a_mutation_of_two_routes_has_one_line(one: str, other: str, line: str | None) -> None:
    """Of two processes; what another release writes otherwise is left as it is."""
    late = Finding(cause=Cause.LATE_COMMIT, name=EDIT.name, annotation=other)
    here = Report(routes=(replace(PRICES, findings=(FIELD, replace(EDIT, annotation=one))),))
    there = Report(routes=(replace(RIGHT, findings=(late,)),))
    routes = {route.route: route for route in joined([here, there]).routes}
    first, second = routes[PRICES.route].findings, routes[RIGHT.route].findings

    assert first[0].annotation == FIELD.annotation
    assert (first[1].annotation, second[0].annotation) == (line or one, line or other)


def test_one_process_tells_one_line_too() -> None:
    """Two routes show the same data."""
    version = {"now": 0}
    one = Play(lambda _: version["now"], route="GET /books", policy=Policy(300))
    other = Play(lambda _: version["now"], route="GET /shelf", policy=Policy(300))
    other.ledger = one.ledger
    for _ in range(5):
        for _ in range(4):
            one.get("/books")
            other.now = one.now
            other.get("/shelf", after=0.1)
        version["now"] += 1
        one.put("/import", route="POST /import")
    one.report()
    other.report()
    found = {each.annotation for route in one.ledger.report().routes for each in route.findings}

    assert found == {'@invalidates(paths=["/books", "/shelf"])'}
