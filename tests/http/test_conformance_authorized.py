"""Answers to requests with `Authorization`: who shares them (RFC 9111 §3.5)."""

from collections.abc import Sequence

import pytest

from tests.http.support import FULL, HIT, ORIGIN, PLAIN, Step, case, get, play, put

BASIC = (("Authorization", "Basic YTpi"),)
OTHER = (("Authorization", "Basic Yzpk"),)
PERMITTED = ["max-age=60, public", "max-age=60, must-revalidate", "s-maxage=60"]

CASES = [
    *(
        case(f"shared-with-{who}-by-{field}", put(line, ask=BASIC), get(HIT, ask=ask))
        for field in PERMITTED
        for line in [("Cache-Control", field)]
        for who, ask in {"without": (), "another": OTHER, "the-same": BASIC}.items()
    ),
    *(
        case(f"without-credentials-by-{field}", put(line), get(HIT, ask=BASIC), get(HIT))
        for field in PERMITTED
        for line in [("Cache-Control", field)]
    ),
    case(
        "not-without-permission",
        put(("Cache-Control", "max-age=60"), ask=BASIC),
        get(ORIGIN),
        get(ORIGIN, ask=BASIC),
    ),
    case(
        "not-a-response-without-credentials-or-permission",
        put(("Cache-Control", "max-age=60")),
        get(ORIGIN, ask=BASIC, content=b"own", body=b"own", why="fwd=bypass; detail=authorization"),
        get(HIT, content=b"content 1"),
    ),
    case(
        "a-targeted-field-permits",
        put(("CDN-Cache-Control", "max-age=60, public"), ask=BASIC),
        get(HIT, ask=OTHER),
    ),
    case(
        "each-variant-by-its-own-word",
        put(("Cache-Control", "max-age=60"), ("Vary", "Foo"), ask=(("Foo", "1"),)),
        get(ORIGIN, ask=(("Foo", "1"), *BASIC)),
        get(HIT, ask=(("Foo", "1"),)),
    ),
]


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", CASES)
async def test_authorized(steps: Sequence[Step], profile: str) -> None:
    """A response is shared where it says so itself."""
    await play(steps, profile)


DATES = [
    case(
        "the-date-stands-in-for-the-last-change",
        put(("Cache-Control", "max-age=60"), ("Date", 0), then=0.5),
        get(HIT, ask=(("If-Modified-Since", -0.5),), answer=304),
    ),
    case(
        "without-a-date-the-second-of-receipt",
        put(("Cache-Control", "max-age=60"), then=0.5),
        get(HIT, ask=(("If-Modified-Since", -0.5),), answer=304),
    ),
    case(
        "an-older-copy-is-another",
        put(("Cache-Control", "max-age=60"), ("Date", 0), then=0.5),
        get(HIT, ask=(("If-Modified-Since", -2),), answer=200),
    ),
    case(
        "a-stream-has-a-length-once-it-is-stored",
        put(("Cache-Control", "max-age=60"), parts=(b"one ", b"two"), lacks=("Content-Length",)),
        get(HIT, content=b"one two", has=(("Content-Length", "7"),)),
        get(HIT, method="HEAD", content=b"", has=(("Content-Length", "7"),)),
    ),
    case(
        "nothing-has-none",
        put(("Cache-Control", "max-age=60"), status=204),
        get(HIT, answer=204, lacks=("Content-Length",)),
    ),
]


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", DATES)
@pytest.mark.parametrize("begun", [0.0, 0.75])
async def test_dates_and_lengths(steps: Sequence[Step], profile: str, begun: float) -> None:
    """HTTP dates have whole seconds; a length is known once the content is."""
    await play((Step(path="/other", then=begun), *steps), profile)
