"""Applications made at random: a known cause is named, and what is right is never accused."""

import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_multitier import Policy
from asgi_multitier.shadow import Cause

from .play import Asked, Play

EXAMPLES = settings(max_examples=12, derandomize=True, deadline=None)

KINDS = {
    Cause.FIELD: "x-choice",
    Cause.COOKIE: "choice",
    Cause.QUERY: "choice",
    Cause.USER: "",
    Cause.ADDRESS: "",
}


def _chosen(asked: Asked, kind: Cause) -> str:
    """What an application looks at."""
    values: Mapping[Cause, Any] = {
        Cause.FIELD: asked.fields.get("x-choice"),
        Cause.COOKIE: asked.cookies.get("choice"),
        Cause.QUERY: asked.query.get("choice"),
        Cause.USER: asked.user,
        Cause.ADDRESS: asked.client,
    }
    return str(values[kind])


class _Traffic:
    """Requests with every attribute chosen at random, and much that means nothing."""

    def __init__(self, play: Play, rnd: random.Random, values: int, keys: int) -> None:
        self.play, self.rnd, self.values, self.keys = play, rnd, values, keys

    def send(self, times: int) -> None:
        """Some requests, at random times."""
        rnd = self.rnd
        for number in range(times):
            self.play.get(
                f"/prices/{rnd.randrange(self.keys)}",
                fields={
                    "x-choice": self._one(),
                    "user-agent": f"browser {rnd.randrange(5)}",
                    "accept-language": rnd.choice(("en", "fr", "de")),
                    "x-request-id": f"{self.play.number}",
                    "x-sent-at": f"{self.play.now}",
                },
                cookies={
                    "choice": self._one(),
                    "_ga": f"{rnd.randrange(9)}",
                    "nonce": f"{self.play.now}-{number}",
                },
                query={"choice": self._one()},
                user=self._one(),
                client=self._one(),
                after=rnd.uniform(0.1, 3.0),
            )

    def _one(self) -> str:
        return f"{self.rnd.randrange(self.values)}"


@EXAMPLES
@given(
    kind=st.sampled_from(sorted(KINDS)),
    seed=st.integers(0, 10_000),
    values=st.integers(2, 4),
    keys=st.integers(1, 4),
    token=st.booleans(),
    edits=st.booleans(),
)
def test_a_known_cause_is_named(
    kind: Cause, seed: int, values: int, keys: int, token: bool, edits: bool
) -> None:
    """Whatever else changes: a random place, and data that mutations change and drop."""
    rnd = random.Random(seed)
    version = {"now": 0}

    def application(asked: Asked) -> object:
        found = {"path": asked.path, "is": [_chosen(asked, kind), version["now"]]}
        return {**found, "token": rnd.random()} if token else found

    play = Play(application, policy=Policy(300, query=["q"]))
    traffic = _Traffic(play, rnd, values, keys)
    for _ in range(4):
        traffic.send(12 * keys)
        if edits:
            version["now"] += 1
            play.put("/import", route="POST /import", drops=tuple(play.stored))

    found = play.report()
    causes = {(one.cause, one.name) for one in found.findings}
    expected = {(kind, KINDS[kind])}
    assert causes == (expected | {(Cause.RANDOM, "")} if token else expected)
    assert sum(one.wrong for one in found.findings) >= found.wrong


@EXAMPLES
@given(
    seed=st.integers(0, 10_000),
    keys=st.integers(1, 5),
    values=st.integers(1, 6),
    flood=st.booleans(),
)
def test_what_is_right_is_never_accused(seed: int, keys: int, values: int, flood: bool) -> None:
    """Data that change by mutations which drop them; and by themselves, slower than a lifetime."""
    rnd = random.Random(seed)
    version = {"now": 0}
    play = Play(lambda asked: {"of": asked.path, "version": version["now"]}, policy=Policy(300))
    clock = Play(lambda asked: {"at": asked.now // 40}, policy=Policy(10), lifetime=10.0)
    traffic, ticks = _Traffic(play, rnd, values, keys), _Traffic(clock, rnd, values, keys)
    for _ in range(6):
        traffic.send(10 * keys)
        ticks.send(40 * keys)
        version["now"] += 1
        play.put("/import", route="POST /import", drops=tuple(play.stored))
        if flood:
            play.put("/events", route="POST /events")
            clock.put("/events", route="POST /events")

    for one in (play.report(), clock.report()):
        assert (one.wrong, one.findings) == (0, ())


@EXAMPLES
@given(seed=st.integers(0, 10_000), values=st.integers(2, 5), keys=st.integers(1, 3))
def test_chance_is_no_cause(seed: int, values: int, keys: int) -> None:
    """Answers by chance are told as such, and no attribute is blamed for them."""
    rnd = random.Random(seed)
    play = Play(lambda asked: rnd.choice("abcd"), policy=Policy(300))
    _Traffic(play, rnd, values, keys).send(50 * keys)

    assert {one.cause for one in play.report().findings} == {Cause.RANDOM}


@EXAMPLES
@given(seed=st.integers(0, 10_000), reads=st.integers(3, 6), turns=st.integers(3, 5))
def test_a_mutation_that_drops_nothing_is_named(seed: int, reads: int, turns: int) -> None:
    """And none of those that change something else, however many there are."""
    rnd = random.Random(seed)
    version = {"now": 0}
    play = Play(lambda asked: {"version": version["now"]}, route="GET /top", policy=Policy(900))
    for _ in range(turns):
        for _ in range(reads):
            play.get("/top", after=rnd.uniform(0.5, 2.0))
            if rnd.random() < 0.3:
                play.put("/events", route="POST /events", after=0.1)
        version["now"] += 1
        play.put("/prices/1", after=rnd.uniform(0.1, 2.0))
    for _ in range(reads):
        play.get("/top")

    found = play.report()
    assert [(one.cause, one.name) for one in found.findings] == [(Cause.EDIT, "PUT /prices/{id}")]
    assert found.findings[0].wrong == found.wrong == turns * reads
