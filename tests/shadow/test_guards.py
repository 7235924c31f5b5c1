"""What keeps a cause from being named where another is likelier, or too little is known."""

import random

import pytest

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
    """The session is renewed while the script's cookie stays, which divides requests better."""
    rnd = random.Random(3)
    play = Play(lambda asked: f"basket {asked.cookies['sid'][0]}", policy=Policy(300))
    for number in range(120):
        who = rnd.randrange(6)
        play.get(cookies={"sid": f"{who}-{number // 40}", "_ga_X": f"{who}"})

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


def test_a_lifetime_that_fits_is_not_blamed() -> None:
    """Its answers are older than the data at times, as any cache's are."""
    play = Play(lambda asked: {"minute": asked.now // 60}, policy=Policy(10), lifetime=10.0)
    for _ in range(150):
        play.get(after=4.0)

    found = play.report()
    assert (found.wrong, found.findings) == (0, ())
    assert found.aged > 5


def test_users_with_answers_of_their_own_are_not_shared() -> None:
    """Each asks for another path, so that nothing shows whether two may share."""
    rnd = random.Random(4)
    play = Play(lambda asked: asked.path, lifetime=None)
    for _ in range(60):
        who = rnd.choice("abc")
        play.get(f"/prices/{who}", user=who)

    found = play.report()
    assert found.annotation is None
    assert found.why == "Its requests identify users, and no two of them got the same answer"


def test_names_of_single_messages_are_not_blamed() -> None:
    """Such as the number of a request, though it comes twice."""
    play = Play(lambda asked: asked.fields["x-request-id"], policy=Policy(300))
    for number in range(60):
        play.get(fields={"x-request-id": f"{number % 5}"})

    assert all(one.name != "x-request-id" for one in play.report().findings)


def test_a_filling_parts_answers() -> None:
    """What was dropped and made again may differ: it is no sign of chance."""
    data = {"version": 0}
    play = Play(lambda asked: data["version"], policy=Policy(300))
    for _ in range(12):
        play.get()
        data["version"] += 1
        play.stored.clear()

    found = play.report()
    assert (found.wrong, found.findings) == (0, ())


def test_one_users_name_is_no_chance() -> None:
    """Each user asks once or twice, and sees a name that no other request has seen."""
    play = Play(lambda asked: {"hello": asked.user}, policy=Policy(300, public=True))
    for number in range(30):
        play.get(user=f"user {number}", client="proxy")

    assert (Cause.RANDOM, "") not in _named(play.report())


def test_answers_of_which_the_places_are_not_known_are_left_out() -> None:
    """A page among texts of JSON, with a random place in these."""
    rnd = random.Random(8)
    play = Play(
        lambda asked: "<html>" if asked.now % 9 == 0 else {"at": rnd.random(), "x": 1},
        policy=Policy(300),
    )
    for _ in range(40):
        play.get()

    assert _named(play.report()) == [(Cause.RANDOM, "")]
    assert play.report().findings[0].place == "$.at"


def test_one_of_two_that_always_come_together_is_named() -> None:
    """What puts something before what adds a line to a log."""
    data = {"version": 0}
    play = Play(lambda asked: data["version"], route="GET /top", policy=Policy(900))
    for _ in range(4):
        for _ in range(4):
            play.get("/top")
        data["version"] += 1
        play.put("/log", route="POST /log")
        play.put("/prices/1")
        play.put("/log", route="POST /log")
    play.get("/top")

    assert _named(play.report()) == [(Cause.EDIT, "PUT /prices/{id}")]


def test_a_rare_mutation_that_changes_nothing_is_not_blamed() -> None:
    """Data that change by themselves each minute, and a form that is sent now and then."""
    rnd = random.Random(9)
    play = Play(lambda asked: asked.now // 60, policy=Policy(900), lifetime=900.0)
    for _ in range(200):
        play.get(after=7.0)
        if rnd.random() < 0.15:
            play.put("/forms", route="POST /forms", after=0.5)

    assert _named(play.report()) == [(Cause.LIFETIME, "")]


def _undeclared(dropped: tuple[str, ...], changes: int) -> Play:
    """Requests by a field, and drops by another process before each answer that differs."""
    play = Play(lambda asked: asked.fields["accept-currency"], policy=Policy(300))
    play.get(fields={"accept-currency": "0"})
    for number in range(1, changes + 1):
        play.get(fields={"accept-currency": str(number - 1)})
        play.put("", route="", selectors=dropped)
        play.get(fields={"accept-currency": str(number)})
    return play


@pytest.mark.parametrize("changes", [1, 2])
def test_few_answers_accuse_no_mutation_without_a_name(changes: int) -> None:
    """All that other processes drop is one suspect, so it is near to much."""
    found = _undeclared(("path:/other",), changes).report()

    assert {one.cause for one in found.findings} == {Cause.UNKNOWN}


def test_a_mutation_with_a_name_is_accused_earlier() -> None:
    """Two changes each after one of the same path."""
    version = {"now": 0}
    for route in ("PUT /prices/{id}", ""):
        play = Play(lambda _: version["now"], policy=Policy(300))
        for _ in range(2):
            play.get()
            play.get()
            version["now"] += 1
            play.put(route=route)
        play.get()
        causes = [one.cause for one in play.report().findings]

        assert causes == [Cause.EDIT if route else Cause.UNKNOWN]


def _after_drops(selectors: tuple[str, ...], **fields: str) -> RouteReport:
    """An answer changes after each of four drops by another process."""
    version = {"now": 0}
    play = Play(lambda _: version["now"], policy=Policy(300))
    for _ in range(5):
        for _ in range(4):
            play.get(fields={name: str(version["now"]) for name in fields})
        version["now"] += 1
        play.put("", route="", selectors=selectors)
    return play.report()


def test_what_drops_the_key_is_not_why_it_is_wrong() -> None:
    """As an audit of another process does, which has found it wrong."""
    assert _named(_after_drops(("path:/other",))) == [(Cause.EDIT, "")]
    assert (Cause.EDIT, "") not in _named(_after_drops(("path:/prices/1",)))


def test_a_mutation_without_a_name_comes_after_attributes() -> None:
    """A field with one answer for each value may be the cause as well."""
    assert (Cause.EDIT, "") not in _named(_after_drops(("path:/other",), version=""))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_changes_near_a_mutation_of_another_process_are_not_by_themselves(
    elsewhere: bool,
) -> None:
    """Its record comes a second after the answer that has changed."""
    version = {"now": 0}
    play = Play(lambda _: version["now"], policy=Policy(300))
    for _ in range(8):
        for _ in range(6):
            play.get(after=1.0)
        version["now"] += 1
        if elsewhere:
            play.get(after=0.1)
            play.put("", route="", selectors=("path:/other",), after=1.0)
    found = play.report()

    assert (Cause.LIFETIME in {one.cause for one in found.findings}) == (not elsewhere)
