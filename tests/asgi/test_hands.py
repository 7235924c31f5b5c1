"""Slots in the hands of plans: what was in the tier is known by its view, and bytes are bounded."""

import random
from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, MemoryTier, TierConfig
from asgi_multitier.asgi.hands import Hands
from asgi_multitier.entry import LEFT, Slot

from .test_hits import RULES, Told, World, scope_of, told

PLAIN = scope_of("GET", "/plain/1", [])
VARIED = scope_of("GET", "/varied/1", [(b"accept-encoding", b"br")])


@dataclass(eq=False)
class Hand:
    """A holder."""

    slot: Slot | None = None


class Interrupted:
    """A holder at whose slot another thread comes in: it is looked at or set, and all is let go.

    Args:
        hands: What another thread clears.
        looks: How often the slot is looked at or set before that.
    """

    def __init__(self, hands: Hands, looks: int) -> None:
        self._hands, self._looks = hands, looks
        self._slot: Slot | None = None

    @property
    def slot(self) -> Slot | None:
        """The slot in its hand."""
        self._come_in()
        return self._slot

    @slot.setter
    def slot(self, slot: Slot | None) -> None:
        self._slot = slot
        self._come_in()

    def _come_in(self) -> None:
        self._looks -= 1
        if self._looks == 0:
            self._hands.clear()


def slot_of(size: int) -> Slot:
    """A slot that counts for so many bytes."""
    return Slot(None, 0, size)  # type: ignore[arg-type]


def noted(world: World) -> list[str]:
    """The keys that the tier of a world is asked for from here on; takes the place of its tier."""
    tier = MemoryTier(clock=world.clock)
    find, found = tier.find, list[str]()

    def noting(key: str) -> Slot | None:
        found.append(key)
        return find(key)

    tier.find = noting
    tiers = [(tier, TierConfig(level=1))]
    world.manager = CacheManager(redis_url=None, clock=world.clock, tiers=tiers, namespace="world")
    world.middleware = CacheMiddleware(world.app, world.manager, rules=RULES)
    return found


async def test_a_hit_of_a_slot_in_the_hand_does_not_ask_the_tier() -> None:
    """From the fifth request on, plain and not; the application answers once for each."""
    world = World(Told)
    found = noted(world)
    async with world.manager:
        for asked in (PLAIN, VARIED):
            for _ in range(4):
                await world.ask(dict(asked))
            found.clear()
            await world.ask(dict(asked))
            assert found == []
        assert world.runs == 2


@pytest.mark.parametrize("asked", [PLAIN, VARIED], ids=["plain", "varied"])
async def test_what_has_left_the_tier_is_answered_by_no_hand(asked: dict[str, Any]) -> None:
    """Whether it was invalidated, deleted, replaced or cleared."""
    world = World(Told)
    found = noted(world)
    async with world.manager:
        engine = world.manager.engine
        local: Any = engine.stack.local

        async def bodies() -> set[bytes]:
            sent = [await world.ask(dict(asked)) for _ in range(4)]
            found.clear()
            return {body["body"] for _, body in sent}

        one = await bodies()
        await world.manager.invalidate_path(asked["path"])
        two = await bodies()
        for slot in local.slots():
            local.delete(slot.entry.key)
        three = await bodies()
        await world.manager.clear()
        four = await bodies()
        assert [len(each) for each in (one, two, three, four)] == [1] * 4
        assert len(one | two | three | four) == world.runs == 4


async def test_a_hit_in_the_hand_is_seen_by_those_who_look_at_hits() -> None:
    """While something watches, each hit is looked up and shown."""
    told.clear()
    world = World(Told)
    seen: list[Slot] = []

    def shown(slot: Slot) -> bool:
        seen.append(slot)
        return len(seen) < 2

    async with world.manager:
        for _ in range(4):
            await world.ask(dict(PLAIN))
        doors = world.manager.engine.doors
        doors.watch(shown)
        before = len(told)
        for _ in range(2):
            await world.ask(dict(PLAIN))
        assert len(seen) == 2
        assert len(told) == before + 1  # the second was hidden from the door
        doors.leave(shown)
        await world.ask(dict(PLAIN))
        assert len(seen) == 2
        assert world.runs == 1


async def test_hands_are_emptied_when_plans_are_forgotten() -> None:
    """What they hold was found valid by the index of that time."""
    world = World(Told)
    async with world.manager:
        for _ in range(4):
            await world.ask(dict(PLAIN))
        hands = world.middleware._hits._hands
        assert len(hands) == 1
        holder = hands._held[0][0]
        assert holder.slot is not None
        world.middleware._planning.forget()
        assert len(hands) == 0
        assert holder.slot is None


async def test_what_is_asked_for_twice_is_in_no_hand() -> None:
    """Nothing is prepared of it to be sent again."""
    world = World(Told)
    async with world.manager:
        for _ in range(2):
            await world.ask(dict(PLAIN))
        assert len(world.middleware._hits._hands) == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_bytes_in_hands_are_bounded(seed: int) -> None:
    """Whatever is taken, grows, leaves, and is let go."""
    chance, hands = random.Random(seed), Hands(2_000)
    holders = [Hand() for _ in range(200)]
    sizes: dict[int, int] = {}
    for _ in range(3_000):
        holder = chance.choice(holders)
        if holder.slot is not None and chance.random() < 0.3:
            holder.slot.view = LEFT
        else:
            slot = slot_of(chance.randrange(1, 40))
            hands.take(holder, slot)
            if holder.slot is slot:
                sizes[id(holder)] = slot.size
        held = [sizes[id(each)] for each in holders if each.slot is not None]
        assert sum(held) <= hands._bytes <= 2_000
        assert all(size <= 2_000 // 64 for size in held)
    hands.clear()
    assert hands._bytes == len(hands) == 0
    assert all(each.slot is None for each in holders)


def test_a_slot_that_has_left_is_let_go_as_others_are_taken() -> None:
    """Long before its turn would come."""
    hands = Hands(1_000_000)
    gone = [Hand() for _ in range(10)]
    for hand in gone:
        hands.take(hand, slot_of(10))
        assert hand.slot is not None
        hand.slot.view = LEFT
    for _ in range(6):
        hands.take(Hand(), slot_of(10))
    assert all(hand.slot is None for hand in gone)


def test_with_each_slot_that_is_taken_two_hands_are_looked_at() -> None:
    """The second is let go, if it holds its slot in vain, also where the first is not."""
    hands, first, second = Hands(1_000_000), Hand(), Hand()
    for hand in (first, second):
        hands.take(hand, slot_of(10))
    assert second.slot is not None
    second.slot.view = LEFT
    hands.take(Hand(), slot_of(10))
    assert first.slot is not None
    assert second.slot is None


def test_who_takes_another_slot_keeps_that() -> None:
    """When what it held before is let go."""
    hands, hand = Hands(1_000_000), Hand()
    for _ in range(2):
        last = slot_of(10)
        hands.take(hand, last)
    for _ in range(3):
        hands.take(Hand(), slot_of(10))
    assert hand.slot is last
    assert len(hands) == 4


def test_where_more_is_hot_than_hands_hold_they_seldom_exchange_it() -> None:
    """One of sixteen slots takes the place of the first."""
    hands = Hands(640)
    holders = [Hand() for _ in range(64)]
    for holder in holders:
        hands.take(holder, slot_of(10))
    others = [Hand() for _ in range(64)]
    for other in others:
        hands.take(other, slot_of(10))
    assert sum(other.slot is not None for other in others) == 4
    assert sum(holder.slot is None for holder in holders) == 4


@pytest.mark.parametrize("looks", range(1, 5))
@pytest.mark.parametrize("gone", [False, True])
def test_another_thread_may_let_all_go_at_any_moment(looks: int, gone: bool) -> None:
    """While slots are taken and tidied: no request fails of it, and no hand of before is full."""
    hands = Hands(640)
    interrupted = Interrupted(hands, looks)
    slot = slot_of(10)
    hands.take(interrupted, slot)
    if gone:
        slot.view = LEFT
    others = [Hand() for _ in range(3)]
    for other in others:
        hands.take(other, slot_of(10))
    hands.clear()
    assert interrupted.slot is None
    assert [other.slot for other in others] == [None] * 3
    assert hands._bytes == len(hands) == 0


def test_a_slot_that_is_taken_while_all_is_let_go_is_in_no_hand() -> None:
    """Also when that other thread has been there just before."""

    class Late(deque[Any]):
        def append(self, each: Any) -> None:
            hands.clear()
            super().append(each)

    hands, hand = Hands(640), Hand()
    hands._held = Late()
    hands.take(hand, slot_of(10))
    assert hand.slot is None


def test_room_that_another_thread_makes_is_made_once() -> None:
    """All is let go while the first is, so that the place of another can be taken."""

    class Emptied(deque[Any]):
        def popleft(self) -> Any:
            self.clear()
            return super().popleft()

    hands, hand = Hands(640), Hand()
    hands._held = Emptied()
    for _ in range(64):
        hands.take(Hand(), slot_of(10))
    for _ in range(16):
        hands.take(hand, slot_of(10))
    assert hand.slot is None


def test_a_slot_of_a_sixty_fourth_is_held_and_no_larger_one() -> None:
    """Of larger ones few would fit; and the slots that are held may take all there is."""
    hands, hands_full = Hands(640), [Hand() for _ in range(64)]
    large = Hand()
    hands.take(large, slot_of(11))
    for hand in hands_full:
        hands.take(hand, slot_of(10))
    assert large.slot is None
    assert all(hand.slot is not None for hand in hands_full)
