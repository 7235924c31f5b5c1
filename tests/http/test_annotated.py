"""Annotated routes: the annotation decides the lifetime, everything else is as with the headers."""

import re

import pytest

from asgi_multitier import Policy
from tests.http.support import Line, Step, World

LIFETIME = 60
RULE = Policy(LIFETIME)
ETAG = ("ETag", '"abc"')


@pytest.mark.parametrize(
    ("fields", "hit"),
    [
        pytest.param((), True, id="nothing"),
        pytest.param((("Cache-Control", "max-age=1"),), True, id="shorter-max-age"),
        pytest.param((("Cache-Control", "max-age=9999"),), True, id="longer-max-age"),
        pytest.param((("Cache-Control", "s-maxage=0"),), True, id="s-maxage-0"),
        pytest.param((("Cache-Control", "no-cache"),), True, id="no-cache"),
        pytest.param((("Expires", "0"),), True, id="past-expires"),
        pytest.param((("Cache-Control", "must-revalidate"),), True, id="must-revalidate"),
        pytest.param((("Cache-Control", "no-store"),), False, id="no-store"),
        pytest.param((("Cache-Control", "private"),), False, id="private"),
        pytest.param((("CDN-Cache-Control", "no-store"),), False, id="targeted-no-store"),
        pytest.param((("Set-Cookie", "a=b"),), False, id="set-cookie"),
        pytest.param((("Vary", "*"),), False, id="vary-star"),
        pytest.param((("Content-Type", "text/event-stream"),), False, id="event-stream"),
    ],
)
async def test_the_stricter_wins_for_storing(fields: tuple[Line, ...], hit: bool) -> None:
    """The response may forbid to store, it does not say for how long."""
    world = World(RULE)
    await world.ask(Step(fields=fields))
    world.now = LIFETIME - 1.0
    within = await world.ask(Step(fields=fields))
    world.now = LIFETIME + LIFETIME + 1.0
    after = await world.ask(Step(fields=fields))

    assert ("; hit" in within.cache_status) is hit
    assert "; fwd=" in after.cache_status
    await world.close()


@pytest.mark.parametrize(
    ("status", "hit"),
    [(200, True), (203, True), (204, True), (301, True), (308, True)]
    + [(s, False) for s in (201, 206, 302, 303, 307, 400, 403, 404, 410, 500, 503)],
)
async def test_the_lifetime_is_for_successes(status: int, hit: bool) -> None:
    """Errors and temporary redirections are stored only where they say so themselves."""
    world = World(RULE)
    await world.ask(Step(status=status))

    assert ("; hit" in (await world.ask(Step(status=status))).cache_status) is hit
    await world.close()


@pytest.mark.parametrize("status", [404, 410])
async def test_negative_answers_have_their_own_lifetime(status: int) -> None:
    """`negative=` seconds, not the rule's."""
    world = World(Policy(LIFETIME, negative=5))
    await world.ask(Step(status=status))
    world.now = 4.0
    within = await world.ask(Step(status=status))
    world.now = 5.0
    after = await world.ask(Step(status=status))

    assert "; hit" in within.cache_status
    assert "; fwd=" in after.cache_status
    await world.close()


async def test_a_tag_of_our_own_is_for_clients_only() -> None:
    """Clients get 304 by it; the application, which knows nothing of it, is not asked with it."""
    world = World(Policy(LIFETIME, stale_if_error=600))
    first = await world.ask(Step(body=b"same"))
    (tag,) = first.values("etag")
    unchanged = await world.ask(Step(ask=(("If-None-Match", tag),)))
    world.now = LIFETIME + 1.0
    renewed = await world.ask(Step(body=b"same", ask=(("If-None-Match", tag),)))

    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    assert unchanged.status == 304
    assert renewed.status == 304
    assert len(world.seen) == 2
    assert world.seen[1].values("if-none-match") == []
    await world.close()


async def test_a_tag_of_the_application_validates() -> None:
    """A stale response is kept as long as its validators may be of use."""
    world = World(RULE)
    await world.ask(Step(fields=(ETAG,)))
    world.now = LIFETIME + 1.0
    renewed = await world.ask(Step(status=304))
    hit = await world.ask(Step())

    assert world.seen[1].values("if-none-match") == ['"abc"']
    assert "fwd=stale; fwd-status=304; stored; ttl=60" in renewed.cache_status
    assert (hit.status, hit.body) == (200, b"content 1")
    await world.close()


async def test_a_head_fills_as_a_get() -> None:
    """The application is asked for the whole, so the next GET is a hit."""
    world = World(RULE)
    head = await world.ask(Step(method="HEAD"))
    got = await world.ask(Step())

    assert (head.status, head.body) == (200, b"")
    assert world.seen[0].method == "GET"
    assert (got.body, "; hit" in got.cache_status) == (b"content 1", True)
    await world.close()


async def test_the_answer_to_a_post_is_not_kept() -> None:
    """An annotation says how long a GET is kept, nothing of other methods."""
    world = World(Policy(LIFETIME))
    located = (("Content-Location", "/thing"), ("Cache-Control", "max-age=60"))
    await world.ask(Step(method="POST", fields=located))

    assert "; fwd=" in (await world.ask(Step())).cache_status
    await world.close()
