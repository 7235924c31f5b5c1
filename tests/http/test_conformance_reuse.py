"""What may be stored and used again: status, stale use, guesses, POST, request directives."""

from collections.abc import Sequence

import pytest

from tests.http.support import (
    FULL,
    HIT,
    ORIGIN,
    PLAIN,
    PROFILES,
    VALIDATED,
    Step,
    World,
    case,
    get,
    play,
    put,
    reuse,
)

MAX_AGE = ("Cache-Control", "max-age=3600")
ETAG = ("ETag", '"abc"')

SHORT = ("Cache-Control", "max-age=2")

STATUS = [
    *(
        reuse(f"{status}-fresh", HIT, MAX_AGE, status=status)
        for status in (200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 414, 451, 499)
    ),
    *(reuse(f"{s}-fresh", HIT, MAX_AGE, status=s) for s in (500, 501, 502, 503, 504, 599)),
    *(
        reuse(f"{status}-stale", ORIGIN, SHORT, status=status)
        for status in (200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499)
    ),
    *(reuse(f"{s}-stale", ORIGIN, SHORT, status=s) for s in (500, 502, 503, 504, 599)),
    reuse(
        "must-understand-unknown",
        ORIGIN,
        ("Cache-Control", "max-age=3600, no-store, must-understand"),
        status=499,
    ),
    reuse(
        "must-understand-known",
        HIT,
        ("Cache-Control", "max-age=3600, no-store, must-understand"),
        status=404,
    ),
    case(
        "redirection-keeps-location",
        put(MAX_AGE, ("Location", "/elsewhere"), status=301),
        get(HIT, answer=301, has=(("Location", "/elsewhere"),)),
    ),
]

STALE_ON_ERROR = (ORIGIN, HIT)
SWR = ("Cache-Control", "max-age=1, stale-while-revalidate=3600")
SIE = ("Cache-Control", "max-age=2, stale-if-error=60")

STALE = [
    case("origin-hangs-up", put(SHORT, then=3), get(STALE_ON_ERROR, drops=True)),
    case("origin-answers-503", put(SHORT, then=3), get(STALE_ON_ERROR, status=503)),
    case(
        "not-invalidated-by-the-failure",
        put(SHORT, then=3),
        get(STALE_ON_ERROR, status=503),
        get(STALE_ON_ERROR, status=500),
    ),
    case("stale-if-error-503", put(SIE, then=3), get(HIT, status=503, why="stale-if-error")),
    case("stale-if-error-504", put(SIE, then=3), get(HIT, status=504)),
    case("stale-if-error-hang-up", put(SIE, then=3), get(HIT, drops=True, has=(("Age", "3"),))),
    case("stale-if-error-404", put(SIE, then=3), get(ORIGIN, status=404)),
    case("stale-if-error-no-failure", put(SIE, then=3), get(ORIGIN)),
    case(
        "stale-if-error-window-over",
        put(SIE, then=63),
        get(STALE_ON_ERROR, status=503),
    ),
    *(
        case(
            f"never-against-{name}-{failure}",
            put(("Cache-Control", directives), then=3),
            get(ORIGIN, **how),
        )
        for failure, how in (("503", {"status": 503}), ("hang-up", {"drops": True}))
        for name, directives in (
            ("must-revalidate", "max-age=2, must-revalidate, stale-if-error=60"),
            ("proxy-revalidate", "max-age=2, proxy-revalidate, stale-if-error=60"),
            ("no-cache", "max-age=2, no-cache, stale-if-error=60"),
            ("s-maxage", "s-maxage=2, stale-if-error=60"),
        )
    ),
    case(
        "never-against-no-cache-with-validator",
        put(("Cache-Control", "no-cache, stale-if-error=60"), ETAG),
        get(ORIGIN, status=503),
    ),
    case(
        "while-revalidate-renews-in-the-background",
        put(SWR, content=b"content 1", then=3),
        get(HIT, MAX_AGE, content=b"content 1", why="stale-while-revalidate"),
        get(HIT, content=b"content 2"),
    ),
    case(
        "while-revalidate-takes-a-no-cache-answer",
        put(SWR, then=3),
        get(HIT, ("Cache-Control", "no-cache"), content=b"content 1"),
        get(ORIGIN, content=b"content 3"),
    ),
    case(
        "while-revalidate-takes-a-no-store-answer",
        put(SWR, ETAG, then=3),
        get(HIT, ("Cache-Control", "no-store"), content=b"content 1"),
        get(ORIGIN, unsent=("If-None-Match",)),
    ),
    case(
        "while-revalidate-validates-in-the-background",
        put(SWR, ETAG, then=3),
        get(HIT, MAX_AGE, status=304),
        get(HIT, content=b"content 1"),
    ),
    case(
        "while-revalidate-survives-a-failure",
        put(SWR, then=3),
        get(HIT, status=503),
        get(HIT, content=b"content 1"),
    ),
    case(
        "while-revalidate-survives-a-hang-up",
        put(SWR, then=3),
        get(HIT, drops=True),
        get(HIT, content=b"content 1"),
    ),
    case(
        "while-revalidate-window-over",
        put(("Cache-Control", "max-age=1, stale-while-revalidate=4"), then=6),
        get(ORIGIN, MAX_AGE),
        get(HIT, content=b"content 2"),
    ),
    case(
        "while-revalidate-not-against-must-revalidate",
        put(("Cache-Control", "max-age=1, stale-while-revalidate=60, must-revalidate"), then=3),
        get(ORIGIN),
    ),
]


def modified(ago: int) -> tuple[str, int]:
    return ("Last-Modified", -ago)


GUESS = (ORIGIN, HIT)
DATE = ("Date", 0)

HEURISTIC = [
    *(
        reuse(f"never-{status}", ORIGIN, DATE, modified(86400), status=status)
        for status in (201, 202, 403, 502, 503, 504, 599)
    ),
    *(
        reuse(f"listed-{status}", GUESS, DATE, modified(86400), status=status)
        for status in (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501)
    ),
    reuse("public-599", GUESS, DATE, modified(86400), ("Cache-Control", "public"), status=599),
    reuse("30-seconds", ORIGIN, DATE, modified(30), then=3.5),
    *(
        reuse(f"{seconds}-seconds", GUESS, DATE, modified(seconds))
        for seconds in (60, 300, 1200, 3600, 43200, 86400)
    ),
    reuse("no-last-modified", ORIGIN, DATE),
    reuse(
        "despite-attachment",
        GUESS,
        DATE,
        modified(86400),
        ("Content-Disposition", "attachment; filename=example.txt"),
    ),
]

LOCATED = ("Content-Location", "/thing")

POST = [
    case(
        "explicit-freshness-and-content-location",
        put(MAX_AGE, LOCATED, method="POST", content=b"content 1"),
        get((ORIGIN, HIT), then=3),
        get((ORIGIN, HIT), method="HEAD"),
    ),
    case(
        "absolute-content-location",
        put(MAX_AGE, ("Content-Location", "http://origin.example/thing"), method="POST"),
        get((ORIGIN, HIT)),
    ),
    case("no-content-location", put(MAX_AGE, method="POST"), get(ORIGIN)),
    case(
        "content-location-elsewhere",
        put(MAX_AGE, ("Content-Location", "/other"), method="POST"),
        get(ORIGIN),
        get(ORIGIN, path="/other"),
    ),
    case("no-freshness", put(LOCATED, method="POST"), get(ORIGIN)),
    case("no-store", put(("Cache-Control", "no-store"), LOCATED, method="POST"), get(ORIGIN)),
    case(
        "in-several-messages",
        put(MAX_AGE, LOCATED, method="POST", parts=(b"ab", b"c", b"")),
        get((ORIGIN, HIT)),
    ),
    case(
        "in-several-messages-content",
        put(MAX_AGE, LOCATED, method="POST", parts=(b"ab", b"c", b""), content=b"abc"),
    ),
    case(
        "cut-short",
        put(MAX_AGE, LOCATED, ("Content-Length", "9"), method="POST", body=b"abc"),
        get(ORIGIN),
    ),
    case(
        "with-an-api-key",
        put(MAX_AGE, LOCATED, method="POST", ask=(("X-Api-Key", "k"),)),
        get(ORIGIN),
    ),
    case(
        "with-a-body-of-its-own",
        put(MAX_AGE, LOCATED, method="POST", ask=(("Content-Length", "2"),)),
        get((ORIGIN, HIT)),
    ),
    case("varying", put(MAX_AGE, LOCATED, ("Vary", "Foo"), method="POST"), get(ORIGIN)),
    case("failed", put(MAX_AGE, LOCATED, method="POST", status=404), get(ORIGIN)),
    case(
        "failed-leaves-what-is-stored",
        put(MAX_AGE),
        get(ORIGIN, MAX_AGE, LOCATED, method="POST", status=404),
        get(HIT, content=b"content 1"),
    ),
    case("a-post-is-never-answered", put(MAX_AGE, LOCATED), get(ORIGIN, method="POST")),
    case(
        "a-later-post-drops-it",
        put(MAX_AGE, LOCATED, method="POST"),
        get(ORIGIN, method="POST", status=204),
        get(ORIGIN),
    ),
    case(
        "other-methods",
        put(MAX_AGE, LOCATED, method="PUT"),
        get(ORIGIN),
    ),
]


def control(directives: str) -> tuple[tuple[str, str]]:
    return (("Cache-Control", directives),)


HEARD = (HIT, ORIGIN)

REQUEST = [
    case("max-age-0", put(MAX_AGE), get(HEARD, ask=control("max-age=0"))),
    case("max-age-1", put(MAX_AGE, then=3), get(HEARD, ask=control("max-age=1"))),
    case("max-age-long", put(MAX_AGE, then=3), get(HIT, ask=control("max-age=100"))),
    case(
        "max-age-counts-upstream-age",
        put(MAX_AGE, ("Age", "1800")),
        get(HEARD, ask=control("max-age=600")),
    ),
    case(
        "max-age-with-max-stale",
        put(("Cache-Control", "max-age=1500"), ("Age", "2000"), ETAG),
        get(ORIGIN, ask=control("max-age=1500")),
    ),
    case(
        "max-stale",
        put(("Cache-Control", "max-age=1500"), ("Age", "2000"), ETAG),
        get((ORIGIN, HIT), ask=control("max-stale=1000")),
    ),
    case(
        "max-stale-without-argument",
        put(SHORT, ETAG, then=3),
        get((ORIGIN, HIT), ask=control("max-stale")),
    ),
    case(
        "max-stale-too-little",
        put(("Cache-Control", "max-age=1500"), ("Age", "2000"), ETAG),
        get(ORIGIN, ask=control("max-stale=200")),
    ),
    case(
        "max-stale-against-must-revalidate",
        put(("Cache-Control", "max-age=2, must-revalidate"), ETAG, then=3),
        get(ORIGIN, ask=control("max-stale=1000")),
    ),
    case(
        "min-fresh",
        put(("Cache-Control", "max-age=1500")),
        get(HEARD, ask=control("min-fresh=2000")),
    ),
    case(
        "min-fresh-counts-upstream-age",
        put(("Cache-Control", "max-age=1500"), ("Age", "1000")),
        get(HEARD, ask=control("min-fresh=1000")),
    ),
    case(
        "min-fresh-enough",
        put(("Cache-Control", "max-age=1500")),
        get(HIT, ask=control("min-fresh=1000")),
    ),
    case(
        "no-cache",
        put(MAX_AGE),
        get(HEARD, MAX_AGE, ask=control("no-cache")),
        get(HIT),
    ),
    case(
        "no-cache-validates-by-date",
        put(MAX_AGE, ("Last-Modified", -10000), ("Date", 0), then=1),
        get((HIT, VALIDATED), status=304, ask=control("no-cache")),
    ),
    case(
        "no-cache-validates-by-tag",
        put(MAX_AGE, ETAG),
        get(
            (HIT, VALIDATED),
            status=304,
            answer=200,
            ask=control("no-cache"),
            sent=(("If-None-Match", '"abc"'),),
        ),
    ),
    case("no-store", put(MAX_AGE), get(HEARD, ask=control("no-store"))),
    case(
        "no-store-keeps-the-answer-out",
        put(MAX_AGE, ask=control("no-store")),
        get(HEARD),
    ),
    case("only-if-cached-stored", put(MAX_AGE), get(HIT, ask=control("only-if-cached"))),
    case("unknown", put(MAX_AGE), get(HIT, ask=control("nothing-to-see-here"))),
]


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", STATUS)
async def test_any_final_status_with_explicit_freshness(
    steps: Sequence[Step], profile: str
) -> None:
    """The status matters only where the response asks for it to be understood (RFC 9111 §3)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", STALE)
async def test_stale_responses(steps: Sequence[Step], profile: str) -> None:
    """Used only where response or rule permit it, never against it (RFC 9111 §4.2.4, RFC 5861)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", HEURISTIC)
async def test_guessed_freshness(steps: Sequence[Step], profile: str) -> None:
    """A tenth of the time since the last change, where asked for (RFC 9111 §4.2.2)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", POST)
async def test_answer_to_a_post_is_used_for_get(steps: Sequence[Step], profile: str) -> None:
    """Where it says that it is what a GET would bring, and for how long (RFC 9110 §9.3.3)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", REQUEST)
async def test_request_directives(steps: Sequence[Step], profile: str) -> None:
    """Heard where the rule says so, else ignored (RFC 9111 §5.2.1)."""
    await play(steps, profile)


async def test_only_if_cached_is_answered_by_the_cache_alone() -> None:
    """Nothing stored: 504, and the application is not asked (RFC 9111 §5.2.1.7)."""
    world = World(PROFILES[FULL])

    got = await world.ask(Step(ask=control("only-if-cached")))

    assert (got.status, world.seen) == (504, [])
    assert got.cache_status == "asgi-multitier; fwd=request; detail=only-if-cached"
    await world.close()


async def test_only_if_cached_is_ignored_by_default() -> None:
    """The application answers as if it had not been said."""
    world = World(PROFILES[PLAIN])

    got = await world.ask(Step(ask=control("only-if-cached")))

    assert (got.status, len(world.seen)) == (200, 1)
    await world.close()
