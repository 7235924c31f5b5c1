"""Ranges out of what is stored, and parts that are stored (RFC 9110 §14, RFC 9111 §3.3, §3.4)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from asgi_multitier._types import Receive, Scope, Send
from tests.http.support import (
    FULL,
    HIT,
    ORIGIN,
    PLAIN,
    PROFILES,
    VALIDATED,
    Lines,
    Step,
    World,
    case,
    get,
    play,
    put,
)

MAX_AGE = ("Cache-Control", "max-age=3600")
SHORT = ("Cache-Control", "max-age=2")
ETAG = ("ETag", '"abc"')
TEN = b"0123456789"


def bytes_of(wanted: str, condition: str | None = None) -> Lines:
    ranged = (("Range", f"bytes={wanted}"),)
    return ranged if condition is None else (*ranged, ("If-Range", condition))


def content_range(value: str) -> tuple[str, str]:
    return ("Content-Range", f"bytes {value}")


WHOLE = [
    *(
        case(
            f"range-{wanted}",
            put(MAX_AGE, ETAG, body=TEN),
            get(
                HIT,
                ask=bytes_of(wanted),
                answer=206,
                content=content,
                has=(content_range(placed), ("Content-Length", str(len(content))), ETAG, MAX_AGE),
            ),
        )
        for wanted, content, placed in (
            ("0-1", b"01", "0-1/10"),
            ("1-", b"123456789", "1-9/10"),
            ("-1", b"9", "9-9/10"),
            ("5-100", b"56789", "5-9/10"),
            ("-100", TEN, "0-9/10"),
        )
    ),
    case(
        "a-part-lacks-the-digest-of-the-whole",
        put(
            MAX_AGE,
            ("Content-Digest", "sha-256=:YWFh:"),
            ("Repr-Digest", "sha-256=:YWFh:"),
            body=TEN,
        ),
        get(
            HIT,
            ask=bytes_of("0-1"),
            answer=206,
            lacks=("Content-Digest",),
            has=(("Repr-Digest", "sha-256=:YWFh:"),),
        ),
        get(HIT, has=(("Content-Digest", "sha-256=:YWFh:"),)),
    ),
    *(
        case(
            f"whole-for-{wanted}",
            put(MAX_AGE, body=TEN),
            get(HIT, ask=(("Range", wanted),), answer=200, content=TEN),
        )
        for wanted in ("bytes=0-1,3-4", "bytes=4-2", "bytes=a-b", "lines=0-1", "bytes=-")
    ),
    case(
        "unsatisfiable",
        put(MAX_AGE, body=TEN),
        get(HIT, ask=bytes_of("10-"), answer=416, content=b"", has=(content_range("*/10"),)),
    ),
    case(
        "if-range-holds",
        put(MAX_AGE, ETAG, body=TEN),
        get(HIT, ask=bytes_of("0-1", '"abc"'), answer=206),
    ),
    case(
        "if-range-does-not-hold",
        put(MAX_AGE, ETAG, body=TEN),
        get(HIT, ask=bytes_of("0-1", '"other"'), answer=200, content=TEN),
    ),
    case(
        "if-range-weak",
        put(MAX_AGE, ("ETag", 'W/"abc"'), body=TEN),
        get(HIT, ask=bytes_of("0-1", 'W/"abc"'), answer=200),
    ),
    case(
        "head-ignores-it",
        put(MAX_AGE, body=TEN),
        get(HIT, method="HEAD", ask=bytes_of("0-1"), answer=200),
    ),
    case(
        "hop-by-hop-fields-of-the-origins-message",
        put(MAX_AGE, ("Transfer-Encoding", "chunked"), body=TEN),
        get(HIT, ask=bytes_of("0-1"), answer=206, lacks=("Transfer-Encoding",)),
    ),
]

PARTS = (ORIGIN, HIT)


def part(placed: str, content: bytes, **more: object) -> Step:
    """A 206 that the origin answers to a request for these bytes."""
    wanted = placed.partition("/")[0]
    fields = (MAX_AGE, ETAG, content_range(placed))
    arguments: dict[str, object] = {"status": 206, "body": content, "ask": bytes_of(wanted), **more}
    return put(*fields, answer=206, **arguments)


STORED_PARTS = [
    case("same-range", part("0-4/10", b"01234"), get(PARTS, ask=bytes_of("0-4"), status=206)),
    case(
        "suffix",
        part("5-9/10", b"56789", ask=bytes_of("-5")),
        get(PARTS, ask=bytes_of("-5"), status=206),
    ),
    case(
        "within",
        part("4-9/10", b"456789"),
        get(PARTS, ask=bytes_of("6-8"), status=206),
    ),
    case(
        "open-end-within",
        part("4-9/10", b"456789"),
        get(PARTS, ask=bytes_of("6-"), status=206),
    ),
    case("beyond", part("0-4/10", b"01234"), get(ORIGIN, ask=bytes_of("3-6"), status=206)),
    case(
        "with-a-condition",
        part("0-4/10", b"01234"),
        get(ORIGIN, ask=bytes_of("0-1", '"abc"'), status=206),
    ),
    case("stale", part("0-4/10", b"01234", then=3601), get(ORIGIN, ask=bytes_of("0-4"))),
    case(
        "stale-and-validated",
        part("0-4/10", b"01234", then=3601),
        get(
            (ORIGIN, VALIDATED),
            MAX_AGE,
            status=304,
            ask=bytes_of("0-1"),
            answer=None,
        ),
    ),
]

COMPLETED = [
    case(
        "asks-for-the-rest",
        part("0-4/10", b"01234"),
        get(
            ORIGIN,
            MAX_AGE,
            ETAG,
            content_range("5-9/10"),
            status=206,
            body=b"56789",
            sent=(("Range", "bytes=5-"), ("If-Range", '"abc"')),
            answer=200,
            content=TEN,
            has=(("Content-Length", "10"), ETAG),
            lacks=("Content-Range",),
            why="fwd=partial; fwd-status=206; stored",
        ),
        get(HIT, content=TEN, answer=200),
        get(HIT, ask=bytes_of("4-5"), content=b"45"),
    ),
    case(
        "asks-for-the-beginning",
        part("5-9/10", b"56789"),
        get(
            ORIGIN,
            MAX_AGE,
            ETAG,
            content_range("0-4/10"),
            status=206,
            body=b"01234",
            sent=(("Range", "bytes=0-4"),),
            content=TEN,
        ),
    ),
    case(
        "without-a-validator",
        put(MAX_AGE, content_range("0-4/10"), status=206, body=b"01234", ask=bytes_of("-5")),
        get(ORIGIN, sent=(("Range", "bytes=5-"),), unsent=("If-Range",), answer=200),
    ),
    case(
        "takes-the-whole-instead",
        part("0-4/10", b"01234"),
        get(ORIGIN, MAX_AGE, ("ETag", '"new"'), body=b"new", answer=200, content=b"new"),
        get(HIT, content=b"new"),
    ),
    case(
        "takes-news-instead",
        part("0-4/10", b"01234"),
        get(ORIGIN, status=404, answer=404),
    ),
    *(
        case(
            f"{name}-is-asked-for-whole",
            part("0-4/10", b"01234"),
            get(
                ORIGIN,
                *fields,
                **{"status": 206, "body": b"56789", **more},
                again=put(MAX_AGE, body=TEN),
                answer=200,
                content=TEN,
                lacks=("Content-Range",),
            ),
            get(HIT, content=TEN),
        )
        for name, fields, more in (
            ("another-tag", (MAX_AGE, ("ETag", '"new"'), content_range("5-9/10")), {}),
            ("another-size", (MAX_AGE, ETAG, content_range("5-9/11")), {}),
            ("too-little", (MAX_AGE, ETAG, content_range("5-7/10")), {"body": b"567"}),
            ("not-storable", (ETAG, content_range("5-9/10"), ("Cache-Control", "no-store")), {}),
            ("no-range", (MAX_AGE, ETAG), {}),
            ("unsatisfiable", (content_range("*/10"),), {"status": 416}),
            (
                "cut-short",
                (MAX_AGE, ETAG, content_range("5-9/10"), ("Content-Length", "5")),
                {"body": b"56"},
            ),
            (
                "too-large",
                (MAX_AGE, ETAG, content_range("5-9/10"), ("Content-Length", "5000000")),
                {},
            ),
        )
    ),
    case(
        "in-several-messages",
        part("0-4/10", b"01234"),
        get(
            ORIGIN,
            MAX_AGE,
            ETAG,
            content_range("5-9/10"),
            status=206,
            parts=(b"56", b"78", b"9"),
            answer=200,
            content=TEN,
        ),
    ),
    case(
        "grows-by-ranges",
        part("0-4/10", b"01234"),
        part("5-7/10", b"567"),
        get(HIT, ask=bytes_of("3-6"), answer=206, content=b"3456", has=(content_range("3-6/10"),)),
        part("8-9/10", b"89"),
        get(HIT, answer=200, content=TEN),
    ),
    case(
        "another-representation-replaces-it",
        part("0-4/10", b"01234"),
        put(
            MAX_AGE,
            ("ETag", '"new"'),
            content_range("5-9/10"),
            status=206,
            body=b"fghij",
            ask=bytes_of("5-9"),
        ),
        get(HIT, ask=bytes_of("5-6"), content=b"fg"),
        get(ORIGIN, status=206, ask=bytes_of("0-1")),
    ),
    case(
        "head-is-not-answered-from-a-part",
        part("0-4/10", b"01234"),
        get(ORIGIN, method="HEAD", sent_method="HEAD"),
    ),
    case(
        "a-stale-whole-is-validated",
        put(SHORT, ETAG, body=TEN, then=3),
        get(
            VALIDATED,
            MAX_AGE,
            status=304,
            ask=bytes_of("0-1"),
            unsent=("Range",),
            answer=206,
            content=b"01",
        ),
        get(HIT, answer=200, content=TEN),
    ),
    case(
        "a-stale-whole-without-validator",
        put(SHORT, body=TEN, then=3),
        part("0-1/10", b"01"),
        get(HIT, ask=bytes_of("0-1"), content=b"01"),
    ),
]


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", WHOLE)
async def test_ranges_of_a_stored_whole(steps: Sequence[Step], profile: str) -> None:
    """One range is cut out; more than one, or a broken one, gets the whole (RFC 9110 §14.2)."""
    await play(steps, profile)


async def test_a_range_of_what_is_not_stored_fills_from_the_whole() -> None:
    """The application is asked for all of it, unless parts are stored (RFC 9111 §3.3)."""
    first = put(MAX_AGE, ask=bytes_of("0-1"), body=TEN, answer=206, content=TEN[:2])
    again = get(HIT, content=TEN)

    await play([replace(first, unsent=("Range",)), again], PLAIN)
    await play([replace(first, sent=bytes_of("0-1")), again], FULL)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", STORED_PARTS)
async def test_ranges_of_a_stored_part(steps: Sequence[Step], profile: str) -> None:
    """Where parts are stored, a range wholly within one is answered (RFC 9111 §3.3)."""
    await play(steps, profile)


async def test_a_request_for_a_range_is_waited_for_by_nobody() -> None:
    """A concurrent request for the whole is forwarded by itself."""
    world = World(PROFILES[FULL])
    inner, asked, gate = world.middleware.app, asyncio.Event(), asyncio.Event()

    async def gated(scope: Scope, receive: Receive, send: Send) -> None:
        asked.set()
        await gate.wait()
        await inner(scope, receive, send)

    world.middleware.app = gated
    whole = Step(fields=(MAX_AGE, ETAG), body=TEN)
    first = asyncio.create_task(world.ask(part("0-4/10", b"01234", again=whole)))
    await asked.wait()
    second = asyncio.create_task(world.ask(whole))
    for _ in range(20):
        await asyncio.sleep(0)
    world.script = part("0-4/10", b"01234", again=whole)
    gate.set()
    ranged, got = await asyncio.gather(first, second)
    await world.close()

    assert (ranged.status, ranged.body) == (206, b"01234")
    assert (got.status, got.body) == (200, TEN)


async def test_what_is_too_large_together_is_not_joined() -> None:
    """Two parts may each be within the bound of a body, and their sum above it."""
    world = World(PROFILES[FULL], settings={"max_entry": 8})
    await world.ask(part("0-4/10", b"01234"))
    rest = (MAX_AGE, ETAG, content_range("5-9/10"))

    got = await world.ask(Step(fields=rest, status=206, body=b"56789", again=Step(body=TEN)))

    assert (got.status, got.body) == (200, TEN)
    assert [asked.values("range") for asked in world.seen[1:]] == [["bytes=5-"], []]
    await world.close()


async def test_who_completes_a_part_gets_no_digest_of_the_rest() -> None:
    """Neither where the digest is stored nor where it is only for the client that asked."""
    digest = ("Content-Digest", "sha-256=:YWFh:")
    rest = Step(fields=(MAX_AGE, ETAG, content_range("5-9/10"), digest), status=206, body=b"56789")
    stripping = PROFILES[FULL].but("strip", strip=["content-digest"])

    for policy in (PROFILES[FULL], stripping):
        world = World(policy)
        await world.ask(part("0-4/10", b"01234"))
        got = await world.ask(rest)
        await world.close()

        assert (got.status, got.body) == (200, TEN)
        assert not got.values("content-digest")


@pytest.mark.parametrize("steps", COMPLETED)
async def test_a_part_is_completed(steps: Sequence[Step]) -> None:
    """Parts with one strong validator are joined (RFC 9111 §3.4)."""
    await play(steps, FULL)
