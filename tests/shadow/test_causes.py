"""Each kind of careless route, played: its cause is named, with an annotation that mends it."""

import random
from collections.abc import Callable, Mapping

import pytest

from asgi_multitier import Policy
from asgi_multitier.shadow import Cause, RouteReport
from asgi_multitier.shadow.text import text_of

from .play import Asked, Play

TAGGED = Policy(300, tags=["price:{id}"])


def _noise(rnd: random.Random, number: int) -> dict[str, str]:
    """Fields that a server gets with every request and that choose nothing here."""
    return {
        "user-agent": rnd.choice("abcd"),
        "accept-encoding": rnd.choice(("gzip", "br")),
        "x-request-id": str(number),
        "traceparent": str(number),
        "date": str(number // 2),
    }


def _asked(play: Play, rnd: random.Random, times: int, **choices: Mapping[str, list[str]]) -> None:
    """Ask again and again, with a choice of each field, cookie and parameter."""
    for number in range(times):
        fields = {
            **_noise(rnd, number),
            **{name: rnd.choice(values) for name, values in choices.get("fields", {}).items()},
        }
        cookies = {name: rnd.choice(values) for name, values in choices.get("cookies", {}).items()}
        query = {name: rnd.choice(values) for name, values in choices.get("query", {}).items()}
        play.get(fields=fields, cookies=cookies, query=query)


def _field(rnd: random.Random) -> Play:
    play = Play(lambda asked: {"price": asked.fields["accept-currency"]}, policy=TAGGED)
    _asked(play, rnd, 24, fields={"accept-currency": ["eur", "usd"]})
    return play


def _alternating(rnd: random.Random) -> Play:
    play = Play(lambda asked: asked.fields["accept-language"], policy=TAGGED)
    for number in range(8):
        play.get(fields={"accept-language": ("en", "fr")[number % 2]})
    return play


def _keys(rnd: random.Random) -> Play:
    """No key alone shows enough."""
    play = Play(lambda asked: asked.path + asked.fields["accept-language"], policy=TAGGED)
    for key in range(60):
        for number in range(3):
            fields = _noise(rnd, 3 * key + number) | {"accept-language": rnd.choice(("en", "fr"))}
            play.get(f"/prices/{key}", fields=fields)
    return play


def _cookie(rnd: random.Random) -> Play:
    policy = Policy(300, ignore_cookies=True)
    play = Play(lambda asked: {"theme": asked.cookies["theme"]}, policy=policy)
    _asked(play, rnd, 16, cookies={"theme": ["dark", "light"], "_ga": list("abcde")})
    return play


def _query(rnd: random.Random) -> Play:
    play = Play(lambda asked: asked.query["page"], policy=Policy(300, query=["q"]))
    _asked(play, rnd, 16, query={"page": ["1", "2", "3"], "utm_source": ["a", "b"]})
    return play


def _user(rnd: random.Random) -> Play:
    play = Play(lambda asked: {"name": asked.user}, policy=Policy(300, public=True))
    for number in range(24):
        who = rnd.choice("abc")
        fields = _noise(rnd, number) | {"authorization": who}
        play.get(user=who, cookies={"session": who}, client=who, fields=fields)
    return play


def _address(rnd: random.Random) -> Play:
    play = Play(lambda asked: {"near": asked.client}, policy=TAGGED)
    for number in range(20):
        play.get(client=rnd.choice("abc"), fields=_noise(rnd, number))
    return play


def _place(rnd: random.Random) -> Play:
    play = Play(lambda asked: {"price": 1, "made": {"at": rnd.random()}}, policy=TAGGED)
    _asked(play, rnd, 12)
    return play


def _text(rnd: random.Random) -> Play:
    play = Play(lambda asked: f"<p>{rnd.random()}", policy=TAGGED)
    _asked(play, rnd, 12)
    return play


def _shuffled(rnd: random.Random) -> Play:
    play = Play(lambda asked: {"items": rnd.sample([1, 2, 3], 3)}, policy=TAGGED)
    _asked(play, rnd, 30)
    return play


def _clock(rnd: random.Random) -> Play:
    play = Play(lambda asked: {"minute": asked.now // 60}, policy=TAGGED)
    for number in range(60):
        play.get(fields=_noise(rnd, number), after=7)
    return play


def _edited(
    rnd: random.Random,
    play: Play,
    path: str,
    change: Callable[[], object],
    *,
    times: int = 3,
    reads: int = 4,
) -> Play:
    for turn in range(times):
        for number in range(reads):
            play.get(path, fields=_noise(rnd, reads * turn + number))
        change()
    for number in range(reads):
        play.get(path, fields=_noise(rnd, number))
    return play


class _Data:
    """A row of a database."""

    def __init__(self) -> None:
        self.version = 0

    def __call__(self, asked: Asked) -> object:
        return {"version": self.version}


def _edit(rnd: random.Random) -> Play:
    data = _Data()
    play = Play(data, route="GET /catalog", policy=Policy(300, tags=["catalog"]))

    def change() -> None:
        data.version += 1
        play.put("/prices/1", selectors=("path:/prices/1",))
        play.put("/log", route="POST /log")

    return _edited(rnd, play, "/catalog", change)


def _edit_once(rnd: random.Random) -> Play:
    data = _Data()
    play = Play(data, policy=Policy(300))

    def change() -> None:
        data.version += 1
        play.put("/prices/1/name", route="PUT /prices/{id}/name")

    return _edited(rnd, play, "/prices/1", change, times=1, reads=3)


def _tag(rnd: random.Random) -> Play:
    data = _Data()
    play = Play(data, policy=TAGGED, tags=lambda path: frozenset({"price:1"}))

    def change() -> None:
        data.version += 1
        play.put("/import", route="POST /import", selectors=("tag:prices:1", "path:/import"))

    return _edited(rnd, play, "/prices/1", change)


def _late(rnd: random.Random) -> Play:
    data = _Data()
    play = Play(data, policy=TAGGED, tags=lambda path: frozenset({"price:1"}))

    def change() -> None:
        play.put(selectors=("path:/prices/1",), drops=("/prices/1",))
        play.get(after=0.5)
        data.version += 1

    return _edited(rnd, play, "/prices/1", change)


CASES: list[tuple[Callable[[random.Random], Play], Cause, str, str, str | None]] = [
    (
        _field,
        Cause.FIELD,
        "accept-currency",
        "$.price",
        '@cached(300, vary=["accept-currency"], tags=["price:{id}"])',
    ),
    (
        _alternating,
        Cause.FIELD,
        "accept-language",
        "",
        '@cached(300, vary=["accept-language"], tags=["price:{id}"])',
    ),
    (
        _keys,
        Cause.FIELD,
        "accept-language",
        "",
        '@cached(300, vary=["accept-language"], tags=["price:{id}"])',
    ),
    (_cookie, Cause.COOKIE, "theme", "$.theme", '@cached(300, cookies=["theme"])'),
    (_query, Cause.QUERY, "page", "", '@cached(300, query=["q", "page"])'),
    (_user, Cause.USER, "", "$.name", '@cached(300, vary=["authorization"])'),
    (
        _address,
        Cause.ADDRESS,
        "",
        "$.near",
        '@cached(300, vary_by=lambda request: request.scope["client"][0], tags=["price:{id}"])',
    ),
    (_place, Cause.RANDOM, "", "$.made.at", "@no_cache"),
    (_text, Cause.RANDOM, "", "", "@no_cache"),
    (_shuffled, Cause.RANDOM, "", "$.items[*]", "@no_cache"),
    (_clock, Cause.LIFETIME, "", "$.minute", '@cached(10, tags=["price:{id}"])'),
    (_edit, Cause.EDIT, "PUT /prices/{id}", "$.version", '@invalidates(tags=["catalog"])'),
    (
        _edit_once,
        Cause.EDIT,
        "PUT /prices/{id}/name",
        "$.version",
        '@invalidates(paths=["/prices/{id}"])',
    ),
    (_tag, Cause.TAG, "POST /import", "$.version", '@invalidates(patterns=["/prices/*"])'),
    (_late, Cause.LATE_COMMIT, "PUT /prices/{id}", "$.version", "@invalidates(settle=2)"),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("case", CASES, ids=[case[0].__name__ for case in CASES])
def test_the_cause_is_named(
    case: tuple[Callable[[random.Random], Play], Cause, str, str, str | None], seed: int
) -> None:
    """First of all findings, with all wrong answers, its place and what to write."""
    play, cause, name, place, annotation = case
    found = play(random.Random(seed)).report()

    assert found.wrong > 0
    assert [(one.cause, one.name) for one in found.findings] == [(cause, name)]
    (finding,) = found.findings
    assert (finding.wrong, finding.place) == (found.wrong, place)
    assert finding.annotation == annotation
    assert finding.confidence > 0.8
    assert found.annotation == (None if annotation and "@inv" in annotation else annotation)


def _two(rnd: random.Random) -> RouteReport:
    play = Play(
        lambda asked: {
            "price": asked.fields["accept-currency"],
            "name": asked.fields["accept-language"],
            "token": rnd.random(),
        },
        policy=TAGGED,
    )
    choices = {"accept-currency": ["eur", "usd"], "accept-language": ["en", "fr"]}
    _asked(play, rnd, 36, fields=choices)
    return play.report()


@pytest.mark.parametrize("seed", range(4))
def test_several_causes_are_each_told(seed: int) -> None:
    """Two fields and a random place: none hides another."""
    found = _two(random.Random(seed))

    told = {(one.cause, one.name, one.place) for one in found.findings}
    assert told == {
        (Cause.FIELD, "accept-currency", "$.price"),
        (Cause.FIELD, "accept-language", "$.name"),
        (Cause.RANDOM, "", "$.token"),
    }
    assert found.annotation == "@no_cache"


def test_what_explains_equally_is_told_as_or() -> None:
    """A user, the cookie and the field by which it comes, and its address."""
    (finding,) = _user(random.Random(1)).report().findings

    assert finding.others == (("cookie", "session"), ("field", "authorization"), ("address", ""))
    assert "the user or cookie session or field authorization or client's address" in finding.remedy


def _elsewhere(rnd: random.Random) -> Play:
    """Another worker changes it, and its record says only what it drops."""
    data = _Data()
    play = Play(data, route="GET /catalog", policy=Policy(300))

    def change() -> None:
        data.version += 1
        play.put("", route="", selectors=("path:/prices/1",))

    return _edited(rnd, play, "/catalog", change)


def _late_elsewhere(rnd: random.Random) -> Play:
    data = _Data()
    play = Play(data, policy=TAGGED, tags=lambda path: frozenset({"price:1"}))

    def change() -> None:
        play.put("", route="", selectors=("path:/prices/1",), drops=("/prices/1",))
        play.get(after=0.5)
        data.version += 1

    return _edited(rnd, play, "/prices/1", change, times=8)


def _tag_elsewhere(rnd: random.Random) -> Play:
    data = _Data()
    play = Play(data, policy=TAGGED, tags=lambda path: frozenset({"price:1"}))

    def change() -> None:
        data.version += 1
        play.put("", route="", selectors=("tag:prices:1",))

    return _edited(rnd, play, "/prices/1", change)


ELSEWHERE = [
    (_elsewhere, Cause.EDIT, "GET /catalog changes after something that another process"),
    (_tag_elsewhere, Cause.TAG, "GET /prices/{id} changes after something that another process"),
    (_late_elsewhere, Cause.LATE_COMMIT, "GET /prices/{id} changes up to"),
]


@pytest.mark.parametrize(("played", "cause", "said"), ELSEWHERE, ids=["edit", "tag", "late"])
def test_a_mutation_without_a_name_is_told_in_words(
    played: Callable[[random.Random], Play], cause: Cause, said: str
) -> None:
    """There is no route to write something at, so nothing is proposed for it."""
    play = played(random.Random(1))
    finding = play.report().findings[0]

    assert (finding.cause, finding.name, finding.annotation) == (cause, "", None)
    assert finding.remedy.startswith(said)
    assert "another process" in text_of([play.report()])
