"""How often targets are asked for: counted within bounds, joined, and read back with distrust."""

from typing import Any

import msgspec
import pytest

from asgi_multitier.policy.coding import known_codings
from asgi_multitier.warming.popularity import (
    HALF_LIFE,
    LONGEST,
    MAX_BYTES,
    MOST,
    Counts,
    Ranking,
    read,
    written,
)
from asgi_multitier.warming.targets import Origin, Target

SHOP = Origin("https", b"shop.example", "/api")
CODED = ((b"accept-encoding", b"br, gzip"),)


def target(number: int) -> Target:
    return Target(SHOP, b"/%d" % number, b"q=1")


def test_what_is_frequent_is_not_lost_among_what_is_rare() -> None:
    """Where there is no room the rarest makes room, and what comes takes over its count."""
    counts = Counts(most=3)
    for number in range(100):
        counts.add(target(0))
        counts.add(target(number))
    taken = counts.take()

    assert len(taken) == 3
    assert max(taken, key=taken.__getitem__) == target(0)
    assert sum(taken.values()) == 200
    assert len(counts) == 0


def test_of_the_rarest_the_oldest_makes_room() -> None:
    """Not one that was asked for again since it was found to be rare, nor one that is gone."""
    counts = Counts(most=3)
    for number in (0, 1, 2, 3, 1, 4):
        counts.add(target(number))
    assert counts.take() == {target(1): 2.0, target(3): 2.0, target(4): 2.0}

    for number in (0, 0, 1, 1, 2, 2, 3):
        counts.add(target(number))
    counts.take()
    for number in (1, 1, 4, 5, 6):
        counts.add(target(number))
    assert counts.take() == {target(1): 2.0, target(5): 1.0, target(6): 2.0}


def test_counts_that_could_not_be_told_are_counted_on() -> None:
    """Those for which there is still room."""
    counts = Counts(most=2)
    counts.add(target(1))
    counts.give_back({target(1): 2.0, target(2): 5.0, target(3): 9.0})

    assert counts.take() == {target(1): 3.0, target(2): 5.0}


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (0.0, {target(1): 11.0, target(2): 4.0}),
        (HALF_LIFE, {target(1): 6.0, target(2): 2.0}),
        (2 * HALF_LIFE, {target(1): 3.5, target(2): 1.0}),
        (-HALF_LIFE, {target(1): 11.0, target(2): 4.0}),
    ],
    ids=["at once", "an hour", "two hours", "a clock put back"],
)
def test_scores_halve_in_time_and_counts_are_added(
    later: float, expected: dict[Target, float]
) -> None:
    """What all asked for lately stands before what they asked for yesterday."""
    ranking = Ranking(1000.0, {target(1): 10.0, target(2): 4.0})
    joined = ranking.joined({target(1): 1.0}, 1000.0 + later)

    assert joined == Ranking(1000.0 + later, expected)
    assert joined.top(1) == [target(1)]
    assert joined.top(9) == [target(1), target(2)]


def test_a_list_is_bounded_in_targets_and_in_bytes() -> None:
    """The rarest are left out."""
    many = Ranking(0.0).joined({target(number): float(number) for number in range(MOST + 5)}, 0.0)
    assert len(many.scores) == MOST
    assert target(4) not in many.scores

    long = {Target(SHOP, b"/%d" % n + b"x" * 900): float(n) for n in range(MOST)}
    data = written(Ranking(0.0, long))
    assert MAX_BYTES - 1000 < len(data) <= MAX_BYTES
    found = read(data)
    assert found is not None
    assert min(found.scores.values()) == MOST - len(found.scores)


def test_a_list_comes_back_whole() -> None:
    """Targets, with the codings of their clients, scores and the moment."""
    behind = SHOP._replace(proxied=((b"x-forwarded-proto", b"https"), (b"x-original-host", b"a")))
    scores = {target(1): 2.5, Target(SHOP, b"/x", b"", CODED): 1.0, Target(behind, b"/"): 0.5}

    assert read(written(Ranking(7.0, scores))) == Ranking(7.0, scores)
    assert read(written(Ranking())) == Ranking()


ROW: list[Any] = ["https", b"shop.example", "/api", [], b"/x", b"q=1", b"gzip", 1.0]


def listed(*rows: Any, form: Any = 1, at: Any = 7.0) -> bytes:
    return msgspec.msgpack.encode([form, at, rows])


def test_a_row_as_it_is_written_is_a_target() -> None:
    """So that the rows below are wrong in one thing each."""
    found = read(listed(ROW))

    assert found is not None
    assert found.top(9) == [Target(SHOP, b"/x", b"q=1", ((b"accept-encoding", b"gzip"),))]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, "ftp"),
        (1, b""),
        (1, b"a b"),
        (1, b"a@b"),
        (1, b"a" * LONGEST),
        (2, "api"),
        (2, "/a\nb"),
        (3, [[b"x-user", b"a"]]),
        (3, [[b"host", b"a"]]),
        (3, [[b"X-Forwarded-Proto", b"https"]]),
        (3, [[b"x-forwarded-host", b"a\r\nb: c"]]),
        (3, [[b"x-forwarded-host", b"a" * LONGEST]]),
        (4, b"x"),
        (4, b"/a b"),
        (4, b"/\xff"),
        (4, b"/" + b"x" * LONGEST),
        (5, b"a#b"),
        (6, b"x-secret"),
        (7, -1.0),
        (7, float("nan")),
        (7, float("inf")),
    ],
)
def test_a_row_that_is_no_target_is_left_out(place: int, value: Any) -> None:
    """Each row is judged alone; the others count."""
    wrong, other = [*ROW], [*ROW]
    wrong[place], other[4] = value, b"/other"
    found = read(listed(wrong, other))

    assert found is not None
    assert [one.raw_path for one in found.top(9)] == [b"/other"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        listed(ROW, form=2),
        listed(ROW, form=0),
        listed(ROW, at="x"),
        listed(ROW, at=float("nan")),
        listed([*ROW, 1]),
        listed(ROW[:-1]),
        listed([1, *ROW[1:]]),
        listed(*[ROW] * (MOST + 1)),
        msgspec.msgpack.encode([1, 7.0, [], 1]),
    ],
    ids=range(11),
)
def test_what_is_no_list_is_none(data: bytes) -> None:
    """Another format, another shape, or nothing at all."""
    assert read(data) is None


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (b"gzip, deflate, br, zstd", b"br, deflate, gzip, zstd"),
        (b"GZIP,br", b"br, gzip"),
        (b"br,gzip", b"br, gzip"),
        (b"gzip;q=0.5", None),
        (b"gzip, my-own-coding", None),
        (b"gzip, br, GZIP", None),
        (b"*", None),
        (b"", None),
    ],
)
def test_codings_that_browsers_know(value: bytes, known: bytes | None) -> None:
    """Anything else may tell one client from another."""
    assert known_codings(value) == known
