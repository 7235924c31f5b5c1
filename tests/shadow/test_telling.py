"""What a report says: routes without a rule, figures, words, and nothing of what clients sent."""

import json
import random

import pytest

from asgi_multitier import Policy
from asgi_multitier.shadow import Cause, Ledger
from asgi_multitier.shadow.bits import Clock, Coin, arrangements, confidence, stays
from asgi_multitier.shadow.judging import Judged, Judgement
from asgi_multitier.shadow.proposals import propose
from asgi_multitier.shadow.sums import LIFETIMES, Sums
from asgi_multitier.shadow.times import in_words, lifetime_within

from .play import Play, answer_of
from .test_annotations import pasted


def _bare(application: object, times: int = 60, *, after: float = 1.0, users: int = 0) -> Play:
    rnd = random.Random(7)
    play = Play(application, lifetime=None)  # type: ignore[arg-type]
    for _ in range(times):
        play.get(
            f"/prices/{rnd.randrange(2)}",
            fields={"accept-currency": rnd.choice(("eur", "usd"))},
            cookies={"_ga": f"{rnd.randrange(9)}"},
            user=f"user {rnd.randrange(users)}" if users else "",
            after=after,
        )
    return play


def test_a_route_without_a_rule_is_proposed_one() -> None:
    """With what its answers depend on, a lifetime that was seen, and a tag by its path."""
    found = _bare(lambda asked: [asked.path, asked.fields["accept-currency"]]).report()

    assert (found.rule, found.wrong, found.hits) == (False, 0, 0)
    assert found.annotation == (
        '@cached(10, vary=["accept-currency"], tags=["price:{id}"], ignore_cookies=True)'
    )
    assert pasted(found.annotation).policy.ignore_cookies is True
    assert 40 <= found.possible_hits <= 60
    assert 0 < found.possible_seconds < 1
    assert "10 s (real-time) fits" in found.why


AGAINST = [
    (_bare(lambda asked: random.random()), "Its answers are never the same"),
    (_bare(lambda asked: asked.user, users=3), "Its answers belong to single users"),
    (_bare(lambda asked: 1, 1), "It was asked once: too few to tell"),
    (_bare(lambda asked: 1, 5), "It was asked 5 times: too few to tell"),
    (_bare(lambda asked: 1, after=90_000.0), "It is asked too rarely"),
    (_bare(lambda asked: asked.now // 1), "Its answers are never the same"),
]


@pytest.mark.parametrize(("play", "why"), AGAINST, ids=range(len(AGAINST)))
def test_what_is_not_to_be_cached(play: Play, why: str) -> None:
    """It is said why."""
    found = play.report()

    assert found.annotation is None
    assert found.why.startswith(why)


@pytest.mark.parametrize(("odd", "proposed"), [(1, True), (4, False)])
def test_what_little_is_not_known_stops_no_proposal(odd: int, proposed: bool) -> None:
    """Less than a hundredth of the changes; the same share as where reports are joined."""
    judgement = Judgement(
        [Judged(Cause.EDIT, "PUT /prices/{id}", wrong=200), Judged(Cause.UNKNOWN, wrong=odd)],
        stay=60.0,
    )
    sums = Sums(requests=500, kept_requests=500, kept_hits=[400] * len(LIFETIMES))
    found = propose("GET /prices/{id}", sums, judgement, [], shared=True, cookies=False)

    assert (found.changes is not None) == proposed


@pytest.mark.parametrize("cause", sorted({Cause.USER, Cause.ADDRESS}))
def test_an_answer_of_another_client_stops_a_proposal(cause: Cause) -> None:
    """However seldom it is seen."""
    judged = [Judged(Cause.EDIT, "PUT /prices/{id}", wrong=2000), Judged(cause, wrong=1)]
    found = propose(
        "GET /prices/{id}", Sums(requests=500), Judgement(judged), [], shared=True, cookies=False
    )

    assert found.changes is None
    assert "belong to single" in found.why


def test_the_lifetime_of_a_route_without_a_rule_is_the_one_that_is_proposed() -> None:
    """Also where it is too short to have a name."""
    play = Play(lambda asked: 1, lifetime=None)
    for _ in range(22):
        play.get(after=0.4)
    found = play.report()

    assert found.why == "Answers stay the same for 8 s at least: 4 s fits"
    assert found.lifetime == 4.0


def test_only_answers_to_get_are_proposed() -> None:
    """A POST may change something."""
    play = Play(lambda asked: 1, route="POST /search", lifetime=None)
    for _ in range(20):
        play.get("/search")

    assert play.report().why == "Only answers to GET are proposed to be cached"


def _careless() -> Ledger:
    play = Play(lambda asked: {"price": asked.fields["accept-currency"]}, policy=Policy(300))
    for number in range(16):
        play.get(
            fields={"accept-currency": ("secret-a", "secret-b")[number % 2]},
            cookies={"session": f"secret-{number}"},
            user=f"secret-{number}",
            client="secret-address",
        )
    play.report()
    return play.ledger


def test_the_report_in_words() -> None:
    """For a terminal."""
    text = _careless().report().text()

    assert text.splitlines()[0] == "GET /prices/{id}"
    assert "16 requests, 94% answered by the cache" in text
    assert "8 wrong: it depends on the field accept-currency, at $.price (99% sure)" in text
    assert 'Write: @cached(300, vary=["accept-currency"])' in text
    assert Ledger().report().text() == "Nothing was observed."


def test_nothing_that_clients_sent_is_told() -> None:
    """Neither values nor keys, in JSON and in words."""
    report = _careless().report()
    told = json.dumps(report.as_json())

    assert "secret" not in told + report.text()
    assert json.loads(told)["routes"][0]["findings"][0]["cause"] == "field"


def test_routes_with_wrong_answers_come_first() -> None:
    """Then those that save most."""
    ledger = Ledger()
    for route, wrong, times in (("GET /a", False, 5), ("GET /b", True, 3), ("GET /c", False, 9)):
        play = Play(lambda asked: 1, route=route, ledger=ledger)
        for _ in range(times):
            play.get()
        if wrong:
            play.application = lambda asked: 2
            play.get()

    assert [one.route for one in ledger.report().routes] == ["GET /b", "GET /c", "GET /a"]


def test_one_wrong_answer_alone_is_not_explained() -> None:
    """Nothing is accused on chance."""
    play = Play(lambda asked: asked.fields["x"], policy=Policy(300))
    play.get(fields={"x": "1"})
    play.get(fields={"x": "2"})

    (finding,) = play.report().findings
    assert (finding.cause, finding.wrong, finding.annotation) == (Cause.UNKNOWN, 1, None)


def test_a_safe_request_that_changes_something() -> None:
    """A GET without a rule that redirects, each time before an answer changes."""
    ledger = Ledger()
    data = {"version": 0}
    lists = Play(lambda asked: data["version"], route="GET /list", ledger=ledger)
    done = Play(lambda asked: 1, route="GET /done", ledger=ledger, lifetime=None)
    for _ in range(5):
        for _ in range(3):
            lists.get("/list")
        data["version"] += 1
        done.now = lists.now
        answer = answer_of("moved")
        done.tell("/done", type(answer)(303, answer.digest))
        lists.now = done.now
    lists.get("/list")

    (finding,) = lists.report().findings
    assert (finding.cause, finding.name) == (Cause.EDIT, "GET /done")
    assert finding.annotation is None
    assert "call invalidate_tags()" in finding.remedy


@pytest.mark.parametrize(
    ("seconds", "lifetime"),
    [
        (1.9, None),
        (2.0, 1.0),
        (9.9, 4.0),
        (10.0, 10.0),
        (299.0, 10.0),
        (300.0, 300.0),
        (7200.0, 3600.0),
        (1e6, 10800.0),
    ],
)
def test_a_lifetime_that_fits(seconds: float, lifetime: float | None) -> None:
    """One with a name, or whole seconds."""
    assert lifetime_within(seconds) == lifetime


def test_words_of_lifetimes() -> None:
    """By their names where they have one."""
    assert in_words(300.0) == "300 s (short-term)"
    assert in_words(4.0) == "4 s"


def test_evidence() -> None:
    """Bits of orders, coins and clocks."""
    assert arrangements((4, 4)) == pytest.approx(6.129, abs=0.001)
    assert arrangements((1, 1, 1)) == pytest.approx(2.585, abs=0.001)
    assert confidence(0.0) == 0.0
    assert confidence(2.0) == 0.75
    assert confidence(-5.0) == 0.0
    assert confidence(100.0) == 0.99

    coin = Coin(1.0, 1.0)
    coin.tell(happened=True)
    coin.tell(happened=True)
    assert coin.cost == pytest.approx(1.585, abs=0.001)

    seldom, often = Clock(), Clock()
    for _ in range(20):
        seldom.tell(happened=False, apart=1.0)
        often.tell(happened=False, apart=1.0)
    assert seldom.cost < 2.5
    often.tell(happened=True, apart=0.01)
    seldom.tell(happened=True, apart=100.0)
    assert often.cost > seldom.cost + 5


@pytest.mark.parametrize(
    ("values", "least", "most"),
    [
        ([1, 1, 1, 1, 2, 2, 2, 2], 5.0, 6.0),
        ([1, 2, 3, 4], 0.0, 0.0),
        ([1, 1, 1], 0.0, 0.0),
        ([1, 2, 1, 2, 1, 2], -5.0, -3.0),
        ([1] * 10 + [2] * 10 + [1] * 10, 5.0, 40.0),
    ],
)
def test_what_stays_and_what_comes_by_chance(values: list[int], least: float, most: float) -> None:
    """Equal answers stand together, or do not."""
    assert least <= stays([values]) <= most
