"""Which of several representations is reused: `Vary` (RFC 9111 §4.1)."""

from collections.abc import Sequence

import pytest

from tests.http.support import (
    FULL,
    HIT,
    ORIGIN,
    PLAIN,
    PROFILES,
    Lines,
    Step,
    World,
    case,
    get,
    play,
    put,
)

MAX_AGE = ("Cache-Control", "max-age=5000")


def foo(value: str) -> Lines:
    return (("Foo", value),)


def three(first: str, second: str, third: str) -> Lines:
    return (("Foo", first), ("Bar", second), ("Baz", third))


def language(value: str) -> Lines:
    return (("Accept-Language", value),)


VARY_FOO = ("Vary", "Foo")
VARY_TWO = ("Vary", "Foo, Bar")
VARY_THREE = ("Vary", "Foo, Bar, Baz")
VARY_LANGUAGE = ("Vary", "Accept-Language")

VARY = [
    case("same", put(MAX_AGE, VARY_FOO, ask=foo("1")), get(HIT, ask=foo("1"))),
    case(
        "different",
        put(MAX_AGE, VARY_FOO, ask=foo("1")),
        get(ORIGIN, ask=foo("2"), why="fwd=vary-miss"),
    ),
    case("absent-then-given", put(MAX_AGE, VARY_FOO), get(ORIGIN, ask=foo("1"))),
    case("given-then-absent", put(MAX_AGE, VARY_FOO, ask=foo("1")), get(ORIGIN)),
    case("absent-is-not-empty", put(MAX_AGE, VARY_FOO), get(ORIGIN, ask=foo(""))),
    case(
        "two-side-by-side",
        put(MAX_AGE, VARY_FOO, ask=foo("1"), content=b"content 1"),
        get(ORIGIN, MAX_AGE, VARY_FOO, ask=foo("2"), content=b"content 2"),
        get(HIT, ask=foo("1"), content=b"content 1"),
        get(HIT, ask=foo("2"), content=b"content 2"),
    ),
    case(
        "other-fields-do-not-matter",
        put(MAX_AGE, VARY_FOO, ask=(*foo("1"), ("Other", "2"))),
        get(HIT, ask=(*foo("1"), ("Other", "3"))),
    ),
    case(
        "two-fields-equal",
        put(MAX_AGE, VARY_TWO, ask=(*foo("1"), ("Bar", "abc"))),
        get(HIT, ask=(*foo("1"), ("Bar", "abc"))),
    ),
    case(
        "one-of-two-differs",
        put(MAX_AGE, VARY_TWO, ask=(*foo("1"), ("Bar", "abc"))),
        get(ORIGIN, ask=(*foo("2"), ("Bar", "abc"))),
    ),
    case(
        "values-do-not-run-together",
        put(MAX_AGE, VARY_TWO, ask=(*foo("1"), ("Bar", "23"))),
        get(ORIGIN, ask=(*foo("12"), ("Bar", "3"))),
    ),
    case(
        "three-fields-equal",
        put(MAX_AGE, VARY_THREE, ask=three("1", "abc", "789")),
        get(HIT, ask=three("1", "abc", "789")),
    ),
    case(
        "one-of-three-differs",
        put(MAX_AGE, VARY_THREE, ask=three("1", "abc", "789")),
        get(ORIGIN, ask=three("2", "abc", "789")),
    ),
    case(
        "last-of-three-differs-in-another-order",
        put(MAX_AGE, VARY_THREE, ask=three("1", "abc", "789")),
        get(ORIGIN, ask=(("Baz", "123"), ("Foo", "1"), ("Bar", "abc"))),
    ),
    case(
        "equal-in-another-order",
        put(MAX_AGE, VARY_THREE, ask=three("1", "abc", "789")),
        get(HIT, ask=(("Baz", "789"), ("Bar", "abc"), ("Foo", "1"))),
    ),
    case(
        "absent-from-both",
        put(MAX_AGE, VARY_THREE, ask=(*foo("1"), ("Bar", "abc"))),
        get(HIT, ask=(*foo("1"), ("Bar", "abc"))),
    ),
    case(
        "lines-are-joined",
        put(MAX_AGE, VARY_FOO, ask=foo("1, 2")),
        get(HIT, ask=(("Foo", "1"), ("Foo", "2"))),
    ),
    case(
        "white-space-around-commas",
        put(MAX_AGE, VARY_FOO, ask=foo("1,2")),
        get(HIT, ask=foo(" 1 , 2 ")),
    ),
    case(
        "two-vary-lines",
        put(MAX_AGE, VARY_FOO, ("Vary", "Bar"), ask=(*foo("1"), ("Bar", "2"))),
        get(HIT, ask=(*foo("1"), ("Bar", "2"))),
        get(ORIGIN, ask=(*foo("1"), ("Bar", "3"))),
    ),
    case(
        "field-names-in-any-case",
        put(MAX_AGE, ("Vary", "fOO"), ask=foo("1")),
        get(HIT, ask=foo("1")),
    ),
    case(
        "language-order",
        put(MAX_AGE, VARY_LANGUAGE, ask=language("en, de")),
        get((ORIGIN, HIT), ask=language("de, en")),
    ),
    case(
        "language-case",
        put(MAX_AGE, VARY_LANGUAGE, ask=language("en, de")),
        get(HIT, ask=language("eN, De")),
    ),
    case(
        "language-white-space",
        put(MAX_AGE, VARY_LANGUAGE, ask=language("en, de")),
        get(HIT, ask=language("  en  , de")),
    ),
    case(
        "language-weights",
        put(MAX_AGE, VARY_LANGUAGE, ask=language("en, de;q=0.5")),
        get(ORIGIN, ask=language("de;q=0.5, en")),
    ),
    case(
        "encoding-order",
        put(MAX_AGE, ("Vary", "Accept-Encoding"), ask=(("Accept-Encoding", "gzip, br"),)),
        get(HIT, ask=(("Accept-Encoding", "br,gzip"),)),
        get(ORIGIN, ask=(("Accept-Encoding", "br, gzip;q=0"),)),
    ),
    case(
        "fields-change-between-responses",
        put(MAX_AGE, VARY_FOO, ask=(*foo("1"), ("Bar", "1")), content=b"content 1"),
        get(ORIGIN, MAX_AGE, ("Vary", "Bar"), ask=(*foo("2"), ("Bar", "1"))),
        get(HIT, ask=(*foo("2"), ("Bar", "1")), content=b"content 2"),
        get(ORIGIN, ask=(*foo("2"), ("Bar", "2"))),
    ),
    case(
        "a-response-without-it-among-others",
        put(MAX_AGE, VARY_FOO, ask=foo("1")),
        get(ORIGIN, MAX_AGE, ask=foo("2")),
        get(HIT, ask=foo("2"), content=b"content 2"),
        get(HIT, ask=foo("1"), content=b"content 1"),
    ),
    case(
        "only-one-variant-is-stale",
        put(("Cache-Control", "max-age=2"), VARY_FOO, ask=foo("1")),
        get(ORIGIN, MAX_AGE, VARY_FOO, ask=foo("2"), then=3),
        get(ORIGIN, MAX_AGE, VARY_FOO, ask=foo("1"), why="fwd=stale"),
        get(HIT, ask=foo("2"), content=b"content 2"),
    ),
    case(
        "an-invalidation-drops-all-variants",
        put(MAX_AGE, VARY_FOO, ask=foo("1")),
        get(ORIGIN, MAX_AGE, VARY_FOO, ask=foo("2")),
        get(ORIGIN, method="POST", status=204),
        get(ORIGIN, ask=foo("1")),
        get(ORIGIN, ask=foo("2")),
    ),
]

STAR = [
    case(name, put(MAX_AGE, *fields, ask=foo("1")), get(ORIGIN, ask=foo("1")))
    for name, fields in {
        "alone": [("Vary", "*")],
        "with-validator": [("Vary", "*"), ("ETag", '"abc"')],
        "doubled": [("Vary", "*, *")],
        "doubled-two-lines": [("Vary", "*"), ("Vary", "*")],
        "behind-an-empty-member": [("Vary", ", *")],
        "behind-an-empty-line": [("Vary", ""), ("Vary", "*")],
        "before-a-field": [("Vary", "*, Foo")],
        "behind-a-field": [("Vary", "Foo, *")],
        "behind-a-line": [("Vary", "Foo"), ("Vary", "*")],
        "no-field-name": [("Vary", "Foo Bar")],
    }.items()
]


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", VARY)
async def test_selecting_fields_choose(steps: Sequence[Step], profile: str) -> None:
    """Requests match whose listed fields say the same; variants live side by side."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", STAR)
async def test_a_star_never_matches(steps: Sequence[Step], profile: str) -> None:
    """A `*` anywhere, or what is not a field name: no cache can tell what chose the response."""
    await play(steps, profile)


async def test_variants_of_a_url_are_bounded() -> None:
    """However many values clients send, 64 variants are kept, the youngest."""
    world = World(PROFILES[PLAIN])
    for agent in range(500):
        await world.ask(
            Step(fields=(MAX_AGE, ("Vary", "User-Agent")), ask=(("User-Agent", f"a/{agent}"),))
        )

    youngest = await world.ask(Step(ask=(("User-Agent", "a/499"),)))
    oldest = await world.ask(Step(ask=(("User-Agent", "a/435"),)))

    assert "hit" in youngest.cache_status
    assert "fwd=vary-miss" in oldest.cache_status
    assert len(world.manager.engine.stack.local) == 64 + 1
    await world.close()
