"""Names of members of JSON texts: told where they are of the form, and not where they are data."""

import json

import pytest

from asgi_multitier.shadow.member_names import told_place
from asgi_multitier.shadow.observation import NAMELESS
from asgi_multitier.shadow.record import Content, Record
from asgi_multitier.shadow.rows import Key, Row
from tests.shadow.play import Asked, Play


def key_of(*texts: tuple[str, ...] | None) -> Key:
    """The answers of one key, with these places."""
    rows = []
    for number, places in enumerate(texts):
        content = Content(number, places, None if places is None else [1] * len(places))
        record = Record(number, 0, 0.0, 0.0, (), [], content, None, False, 0.0, 0)
        rows.append(Row(record, content, None, number, None))
    return Key("/a", frozenset(), rows)


OF_THE_FORM = ("$.users[0].name", "$.users[1].name", "$.sum", "$.empty")
CASES = [
    ("", ""),
    ("$", "$"),
    ("$.sum", "$.sum"),
    ("$.users[*].name", "$.users[*].name"),
    ("$.empty", "$.empty"),
    ("$.users[*].alice", "$.users[*].*"),
    ("$.su", "$.*"),
    ("$.sum.of", "$.sum.*"),
    ("$.*.sum", "$.*.*"),
]


@pytest.mark.parametrize(("place", "told"), CASES)
def test_names_of_the_form(place: str, told: str) -> None:
    """Those that are in the answers, whole."""
    assert told_place(place, [key_of(OF_THE_FORM, None), key_of(OF_THE_FORM)]) == told


@pytest.mark.parametrize(("share", "told"), [(8, "$.*.*"), (9, "$.a.sum"), (10, "$.a.sum")])
def test_a_name_in_nearly_all_answers(share: int, told: str) -> None:
    """And what stands below one that is not told."""
    texts = [("$.a.sum",)] * share + [("$.b.sum",)] * (10 - share)
    assert told_place("$.a.sum", [key_of(*texts)]) == told


def test_users_in_the_names_are_not_told() -> None:
    """Neither in a place nor in what to do."""

    def application(asked: Asked) -> object:
        name = asked.fields["x-region"]
        return {"balances": {name: len(name)}, "at": 1}

    play = Play(application)
    for number in range(60):
        play.get(fields={"x-region": ("alice", "bob", "carol")[number * number % 3]})
    (finding,) = play.report().findings

    assert finding.place == "$.balances.*"
    told = json.dumps(play.ledger.report().as_json())
    assert not any(name in told for name in ("alice", "bob", "carol"))


def test_what_has_no_name_is_no_parameter_to_list() -> None:
    """The whole query string counts where `query=` is left away."""
    play = Play(lambda asked: {"at": asked.query[NAMELESS]})
    for number in range(60):
        play.get(query={NAMELESS: ("a", "b", "c")[number * number % 3]})
    report = play.report()

    assert report.findings[0].name == NAMELESS
    assert "leave query= away" in report.findings[0].remedy
    assert report.annotation is None
