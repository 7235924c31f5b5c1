"""Sums per route are exact."""

from asgi_multitier.shadow import Answer, Ledger, Observation, Traits


def _observation(number: int, digest: int, served: int | None) -> Observation:
    return Observation(
        route="GET /prices/{id}",
        key="k",
        path="/prices/1",
        began=float(number),
        ended=number + 0.5,
        traits=Traits(),
        answer=Answer(200, digest, 10),
        would="miss" if served is None else "hit",
        lifetime=300.0,
        hit=0 if served is None else 1,
        served=None if served is None else Answer(200, served, 10),
        number=number,
    )


def test_sums() -> None:
    """A miss, a right hit and a wrong one."""
    ledger = Ledger()
    ledger.observed(_observation(1, 7, None))
    ledger.observed(_observation(2, 7, 7))
    ledger.observed(_observation(3, 8, 7))

    (route,) = ledger.report().routes
    assert (route.requests, route.hits, route.wrong) == (3, 2, 1)
    assert (route.origin_seconds, route.saved_seconds, route.saved_bytes) == (1.5, 1.0, 20)
    assert ledger.report().as_json()["routes"][0]["ratio"] == 0.6667

    ledger.clear()
    assert ledger.report().routes == ()
