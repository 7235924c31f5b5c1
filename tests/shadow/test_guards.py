"""What keeps a cause from being named where another is likelier, or too little is known."""

import random

from asgi_multitier import Policy
from asgi_multitier.shadow import Cause, RouteReport

from .play import Play


def _named(found: RouteReport) -> list[tuple[Cause, str]]:
    return [(one.cause, one.name) for one in found.findings]


def test_few_requests_are_no_proof_of_chance() -> None:
    """Two keys, three values, and no two equal requests with different answers."""
    play = Play(lambda asked: [asked.path, asked.fields["accept-currency"]], policy=Policy(300))
    for path, currency in (
        ("/prices/1", "eur"),
        ("/prices/1", "usd"),
        ("/prices/2", "eur"),
        ("/prices/2", "usd"),
        ("/prices/2", "eur"),
        ("/prices/2", "gbp"),
    ):
        play.get(path, fields={"accept-currency": currency})

    assert _named(play.report()) == [(Cause.UNKNOWN, "")]
    assert play.report().annotation is None


def test_a_session_comes_before_what_scripts_store() -> None:
    """Those without the script's cookie have an empty basket by chance."""
    rnd = random.Random(3)
    baskets = {number: f"basket {max(number - 2, 0)}" for number in range(8)}
    play = Play(lambda asked: baskets[int(asked.cookies["sid"])], policy=Policy(300))
    for _ in range(80):
        who = rnd.randrange(8)
        cookies = {"sid": f"{who}"} | ({"_ga_X": f"{who}"} if who > 2 else {})
        play.get(cookies=cookies)

    assert _named(play.report()) == [(Cause.COOKIE, "sid")]


def test_an_attribute_that_changes_once_with_the_data_is_not_blamed() -> None:
    """A new version of the program and new data, on the same day, for all keys."""
    day = {"now": "monday"}
    play = Play(lambda asked: [asked.path, day["now"]], policy=Policy(900))
    for key in range(30):
        for _ in range(2):
            play.get(f"/prices/{key}", fields={"x-version": day["now"]}, after=0.1)
    day["now"] = "tuesday"
    for key in range(30):
        for _ in range(2):
            play.get(f"/prices/{key}", fields={"x-version": day["now"]}, after=0.1)

    assert (Cause.FIELD, "x-version") not in _named(play.report())


def test_an_attribute_that_is_new_each_time_is_not_blamed() -> None:
    """It would explain anything."""
    rnd = random.Random(1)
    play = Play(lambda asked: rnd.choice("ab"), policy=Policy(300))
    for number in range(60):
        play.get(fields={"x-nonce": f"{number}", "x-hardly": f"{number // 2}"})

    assert _named(play.report()) == [(Cause.RANDOM, "")]


def test_a_mutation_that_drops_the_entry_is_not_blamed() -> None:
    """The other one, which changes the same and drops nothing, is."""
    data = {"version": 0}
    tags = frozenset({"stock"})
    play = Play(lambda asked: data["version"], route="GET /stock", tags=lambda _: tags)
    for turn in range(10):
        for _ in range(4):
            play.get("/stock")
        data["version"] += 1
        if turn % 2:
            play.put("/goods", route="POST /goods", selectors=("tag:stock",), drops=("/stock",))
        else:
            play.put("/orders", route="POST /orders")
    play.get("/stock")

    assert _named(play.report()) == [(Cause.EDIT, "POST /orders")]


def test_a_second_attribute_needs_something_left_to_explain() -> None:
    """Noise that goes along with the first explains nothing more."""
    rnd = random.Random(5)
    play = Play(lambda asked: asked.cookies["theme"], policy=Policy(300, ignore_cookies=True))
    for _ in range(200):
        theme = rnd.choice(("dark", "light", "plain"))
        often = theme if rnd.random() < 0.8 else "dark"
        play.get(cookies={"theme": theme}, fields={"x-often": often})

    assert _named(play.report()) == [(Cause.COOKIE, "theme")]


def test_three_attributes_together() -> None:
    """Each is found by what the others leave open."""
    rnd = random.Random(2)
    play = Play(
        lambda asked: [asked.fields["x-one"], asked.fields["x-two"], asked.cookies["three"]],
        policy=Policy(300),
    )
    for number in range(120):
        play.get(
            fields={
                "x-one": rnd.choice("ab"),
                "x-two": rnd.choice("ab"),
                "x-noise": rnd.choice("abc"),
                "x-request-id": f"{number}",
            },
            cookies={"three": rnd.choice("ab")},
        )

    assert set(_named(play.report())) == {
        (Cause.FIELD, "x-one"),
        (Cause.FIELD, "x-two"),
        (Cause.COOKIE, "three"),
    }


def test_another_value_in_a_tag_is_no_misspelling() -> None:
    """A tag that other entries carry is spelt right, but is not the one that this entry carries."""
    data = {"version": 0}
    play = Play(
        lambda asked: data["version"],
        route="GET /catalog",
        policy=Policy(300, tags=["prices"]),
        tags=lambda _: frozenset({"prices"}),
    )
    other = Play(lambda asked: 1, ledger=play.ledger, tags=lambda _: frozenset({"price:1"}))
    for _ in range(4):
        for _ in range(3):
            play.get("/catalog")
            other.get()
        data["version"] += 1
        play.put(selectors=("tag:price:1",))
    play.get("/catalog")

    assert _named(play.report()) == [(Cause.EDIT, "PUT /prices/{id}")]
