"""What is ready to be sent: its lines are made again when its age has changed, not too late."""

from collections.abc import Callable
from typing import Any

import pytest

from asgi_multitier.asgi import replay as lines
from asgi_multitier.asgi.instead import part_of, unchanged
from asgi_multitier.asgi.replay import Prepared, Replay, prepare
from asgi_multitier.entry import UNSIZED, Born, Entry, Slot, StoredResponse
from asgi_multitier.policy.terms import Terms

BODY = b"0123456789"


def slot_of(*, status: int = 200, refresh_at: float = 1_000.0) -> Slot:
    """A response that is 0 s old at 100, in its slot."""
    headers = ((b"content-length", b"10"), (b"etag", b'"a"'))
    entry = Entry(
        key="key",
        payload=StoredResponse(status, headers, BODY, etag=b'"a"'),
        born=Born("log", 0),
        created=100.0,
        fresh_until=200.0,
        keep_until=200.0,
        filled_at=100.0,
        refresh_at=refresh_at,
    )
    return Slot(entry)


def replay_of(slot: Slot) -> Replay:
    """The same, ready to be sent."""
    found = prepare(slot, Terms())
    assert found is not None
    return found


def whole(_slot: Slot, replay: Replay, now: float) -> Prepared | None:
    """The whole response."""
    return replay if replay.renew(now) else None


def held(_slot: Slot, replay: Replay, now: float) -> Prepared | None:
    """The 304."""
    return unchanged(replay, now)


def part(slot: Slot, replay: Replay, now: float) -> Prepared | None:
    """Its first bytes."""
    return part_of(slot, replay, b"bytes=0-3", now)


@pytest.mark.parametrize("ready", [whole, held, part])
def test_nothing_is_ready_once_a_refresh_is_due(
    ready: Callable[[Slot, Replay, float], Prepared | None],
) -> None:
    """Also where that is sooner than the next whole second."""
    slot = slot_of(refresh_at=120.5)
    replay = replay_of(slot)

    for now, age in ((100.0, b"0"), (119.9, b"19"), (120.2, b"20")):
        found = ready(slot, replay, now)
        assert found is not None
        assert dict(found.lines)[b"age"] == age
        assert b"ttl=%d;" % (100 - int(age)) in dict(found.lines)[b"cache-status"]

    assert ready(slot, replay, 120.5) is None


@pytest.mark.parametrize(
    ("uses", "size", "kept"),
    [(0, 0, False), (1, 0, True), (0, UNSIZED, True)],
    ids=["first hit", "second hit", "of a shared tier"],
)
def test_what_is_prepared_is_kept_from_the_second_hit_on(uses: int, size: int, kept: bool) -> None:
    """What is asked for once does not take the room of what is prepared."""
    slot = Slot(slot_of().entry, size=size, uses=uses)
    first, second = replay_of(slot), replay_of(slot)

    assert (second is first) is kept
    assert (slot.replay is first) is kept


def test_lines_of_one_second_are_one_object() -> None:
    """A server's door knows by that that it need not write them again."""
    slot = slot_of()
    replay = replay_of(slot)

    for ready in (whole, held, part):
        made = []
        for now in (105.0, 105.9, 106.0):
            found = ready(slot, replay, now)
            assert found is not None
            made.append(found.lines)
        assert made[0] is made[1]
        assert made[1] != made[2]


@pytest.mark.parametrize("ready", [whole, held, part])
def test_the_age_changes_a_hair_before_the_second_is_full(
    ready: Callable[[Slot, Replay, float], Prepared | None],
) -> None:
    """As `age_line` has it: what was added to a clock's reading may be missing a hair."""
    slot = slot_of()
    replay = replay_of(slot)

    for now in (105.0, 106.0 - 1e-9):
        found = ready(slot, replay, now)
        assert found is not None
        assert lines.age_line(now - 100.0) in found.lines


def test_a_response_in_a_coding_has_a_304_and_parts_of_its_own() -> None:
    """The entity tag differs, and so do the bytes."""
    slot = slot_of()
    replay = replay_of(slot)
    for ready in (held, part):
        assert ready(slot, replay, 105.0)

    encoded = replay.encoded(b"gzip", b"zipped")

    found = unchanged(encoded, 105.0)
    assert found is not None
    assert dict(found.lines)[b"etag"] == encoded.tag != b'"a"'
    assert encoded.part is None


def test_no_part_of_a_part_is_made_at_once() -> None:
    """Which bytes of the content it has says its own `Content-Range`."""
    slot = slot_of(status=206)

    assert part_of(slot, replay_of(slot), b"bytes=0-3", 105.0) is None


def test_another_range_is_another_part() -> None:
    """The last one that was asked for is remembered, and no other is taken for it."""
    slot = slot_of()
    replay = replay_of(slot)

    bodies = []
    for wanted in (b"bytes=0-3", b"bytes=5-6", b"bytes=5-6", b"bytes=0-3", b"bytes=99-"):
        found = part_of(slot, replay, wanted, 105.0)
        assert found is not None
        bodies.append((found.status, found.body, b"age" in dict(found.lines)))

    first, second = (206, b"0123", True), (206, b"56", True)
    assert bodies == [first, second, second, first, (416, b"", False)]


def test_lines_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lifetimes may be of any length."""
    monkeypatch.setattr(lines, "_REMEMBERED", 10)

    made: dict[int, Any] = lines._LinesBySecond(lambda second: (b"age", b"%d" % second))

    assert [made[second] for second in range(100)][37] == (b"age", b"37")
    assert len(made) <= 10
