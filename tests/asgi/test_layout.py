"""What the names of a request's fields say, found out once for each list of names."""

import random

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier.asgi.layout import Layout, Layouts
from asgi_multitier.asgi.names import READERS, names_of
from asgi_multitier.policy.credentials import Credentials
from asgi_multitier.policy.request import Watch, range_asked_for, scan, tag_asked_for

from .test_hits import RULES, Told, World, scope_of, told

WATCHED = Watch(Credentials())

NAMES = (
    b"host accept X-Api-Key cookie x-forwarded-host x_lang if-none-match If-None-Match range"
    b" if-range origin accept-language Host"
).split()


@pytest.mark.parametrize("count", [*range(25), 500])
def test_the_names_of_any_number_of_lines_are_read_in_order(count: int) -> None:
    """By a function of its own for each usual number; lines may be lists."""
    lines = [(b"x-%d" % place, b"") for place in range(count)]
    names = tuple(b"x-%d" % place for place in range(count))

    assert names_of(lines) == names
    assert (count in READERS) is (4 <= count <= 20)
    if count in READERS:
        assert READERS[count](lines) == names
    assert Layouts(WATCHED).read({"headers": [[*line] for line in lines]})[1].names == names


@pytest.mark.parametrize("seed", range(20))
def test_a_layout_finds_what_a_scan_finds(seed: int) -> None:
    """Names and values in any order and number."""
    chance, layouts = random.Random(seed), Layouts(WATCHED)
    for _ in range(100):
        names = chance.choices(NAMES, k=chance.randrange(6))
        headers = [(name, b"%d" % chance.randrange(1_000)) for name in names]
        host, layout = layouts.read({"headers": headers})
        found = layout.found(headers)

        assert (host, found) == scan(headers, WATCHED)
        assert layouts.of(headers) is layout
        for place, wanted in ((layout.tag, tag_asked_for), (layout.range, range_asked_for)):
            assert (None if place is None else headers[place][1]) == wanted(found or {})


def test_a_request_is_remembered_until_other_lines_come() -> None:
    """Then each sixteenth is: where clients differ, no time is lost with comparisons."""
    layouts = Layouts(WATCHED)
    one, other = ([(b"host", b"h"), (b"cookie", value)] for value in (b"a", b"b"))

    assert layouts.last == (None, None, None)
    read = layouts.read({"headers": one})
    assert layouts.last == (one, *read)
    for _ in range(15):
        assert layouts.read({"headers": other})[0] == b"h"
        assert layouts.last == (None, None, None)
    layouts.read({"headers": other})
    assert layouts.last[0] == other


def test_what_is_remembered_is_not_edited_by_an_application() -> None:
    """It may add and change lines in place, and pass lines that can be changed themselves."""
    layouts = Layouts(WATCHED)
    given = [(b"host", b"h")]
    layouts.read({"headers": given})
    given.append((b"authorization", b"Bearer x"))
    assert layouts.last[0] == [(b"host", b"h")]

    for _ in range(15):
        layouts.read({"headers": [(b"accept", b"*/*")]})
    edited = [[b"host", b"h"]]
    layouts.read({"headers": edited})
    edited[0][:] = [b"cookie", b"a"]
    assert layouts.last[0] == [(b"host", b"h")]


def test_lines_that_can_be_read_once_are_made_a_list() -> None:
    """Those who read them next find them all."""
    scope = {"headers": iter([(b"host", b"h"), (b"cookie", b"a")])}

    host, layout = Layouts(WATCHED).read(scope)

    assert host == b"h"
    assert scope["headers"] == [(b"host", b"h"), (b"cookie", b"a")]
    assert layout.names == (b"host", b"cookie")


def test_clients_cannot_fill_the_memory_with_names() -> None:
    """Many lists are forgotten, those with many names sooner; a long one is not kept."""
    layouts = Layouts(WATCHED)
    for number in range(2_000):
        layouts.of([(b"x-%d" % number, b"")])
    assert 0 < len(layouts) <= 512
    for number in range(2_000):
        layouts.of([(b"x-%d" % number, b"")] * 100)
    assert 0 < sum(layout.size for layout in layouts._known.values()) <= 1 << 19
    before = len(layouts)
    for name in (b"x" * 5_000, b""):
        layouts.of([(name, b"")] * 5_000)
    assert len(layouts) == before


async def test_ways_are_forgotten_with_the_plans_and_when_they_are_many() -> None:
    """They hold what plans have in common."""
    manager = CacheManager(redis_url=None, namespace="world")
    world = World(Told)
    world.middleware = CacheMiddleware(world.app, manager, rules=[*RULES, Rule("/x/*", 60)])
    layouts = world.middleware._layouts

    def ways() -> int:
        return sum(len(layout.ways) for layout in layouts._known.values())

    async with manager:
        for target in ("/plain/1", "/vary/1", "/x/1"):
            for _ in range(2):
                await world.ask(scope_of("GET", target, []))
        assert ways() == 3
        layouts.account(1 << 18)
        assert ways() == 3
        layouts.account(1 << 18)
        assert ways() == 0
        await world.ask(scope_of("GET", "/x/1", []))
        assert ways() == 1
        world.middleware._planning.forget()
        assert ways() == 0


@pytest.mark.parametrize("edits", [False, True])
async def test_what_is_learnt_is_of_the_lines_that_came(*, edits: bool) -> None:
    """A layer outside may edit them while the answer is sent: no request came with those."""
    told.clear()
    world = World(Told)
    name = b"accept-language"
    async with world.manager:
        await world.ask(scope_of("GET", "/vary/1", [(name, b"de")]))
        several = (b"if-none-match", b'"x", "y"')  # a hit, but not at once
        scope = scope_of("GET", "/vary/1", [(name, b"de"), several])
        sent = world.middleware.manager.engine.stack.settle  # nothing is under way

        async def send(message: object) -> None:
            if edits:
                scope["headers"][1] = (name, b"en")

        await world.middleware(scope, _nothing, send)
        await sent()
        start, body = await world.ask(scope_of("GET", "/vary/1", [(name, b"en")]))
        assert world.runs == 2
        assert b"accept-language=en" in body["body"]
        assert start["status"] == 200


async def _nothing() -> dict[str, object]:
    return {"type": "http.request", "body": b"", "more_body": False}


def test_a_layout_of_no_fields_asks_for_the_whole() -> None:
    """What a server asks in front of ASGI, where fields do not count."""
    layout = Layout((), WATCHED)

    assert (layout.whole, layout.host, layout.found([])) == (True, None, None)


@pytest.mark.parametrize(
    ("target", "name", "values"),
    [
        ("/vary/1", b"accept-language", (b"de", b"en")),
        ("/plain/1", b"x-forwarded-host", (b"one.example", b"other.example")),
        ("/named/1", b"cookie", (b"theme=dark", b"theme=light")),
    ],
)
async def test_lines_that_are_lists_are_read_as_others(
    target: str, name: bytes, values: tuple[bytes, bytes]
) -> None:
    """Sloppy servers send them; they can be edited, and are no keys of a dictionary."""
    told.clear()
    world = World(Told)
    async with world.manager:
        for _ in range(3):
            for value in values:
                _, body = await world.ask(scope_of("GET", target, [[name, value]]))  # type: ignore[list-item]
                assert value in body["body"]
        assert world.runs == 2
        assert told == [200] * 3  # of the second value, the first hit goes the general way
