"""Records that come more than once, too early, or in another order than they were begun.

Hypothesis draws what happens; it is played once as on a good day and once with all that, and both
must end alike.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from asgi_multitier.coherence.follower import ReadResult
from asgi_multitier.coherence.log import Operation
from asgi_multitier.coherence.marks import Mark
from asgi_multitier.coherence.records import Body
from asgi_multitier.entry import Born
from asgi_multitier.selectors import Selector
from tests.coherence.test_follower import GEN, Bench
from tests.figures import Figure

CASES = int(os.environ.get("DUPLICATE_CASES", "300"))
SLICES = 20
SLICE = 100_000 // SLICES

FIRST = 6
"""Number of the first record that a bench reads."""

SELECTORS = [
    Selector("tag", "a"),
    Selector("tag", "b"),
    Selector("key", "k"),
    Selector("prefix", "/p/"),
    Selector("glob", "k*"),
    Selector("all", ""),
]

selectors = st.lists(st.sampled_from(SELECTORS), min_size=1, max_size=2, unique=True).map(tuple)
values = st.sampled_from(((), (("k", b"v", 9.0, ("a",)),)))
settles = st.sampled_from((0.0, 0.0, 2.0))
numbers = st.integers(0, 9)


@dataclass(frozen=True)
class Begin:
    """This node begins an invalidation; the server's answer says whether it was taken."""

    selectors: tuple[Selector, ...]
    settle: float
    taken: bool


@dataclass(frozen=True)
class Echo:
    """The record of one of this node's operations, of those that have none yet."""

    which: int


@dataclass(frozen=True)
class Foreign:
    """Another node's record; without a body nobody can read it."""

    body: Body | None


@dataclass(frozen=True)
class Chapter:
    """What this node begins, and the records that are written then."""

    begins: list[Begin]
    records: list[Echo | Foreign]


def _foreign(chosen: tuple[Selector, ...], carried: Any, settle: float, begun: int) -> Foreign:
    return Foreign(Body(1, "other", GEN, FIRST - 1 + begun, 0, settle, chosen, carried))


begins = st.builds(Begin, selectors, settles, st.booleans())
foreign = st.builds(_foreign, selectors, values, settles, numbers) | st.just(Foreign(None))
echoes = st.builds(Echo, numbers)
chapters = st.builds(
    Chapter, st.lists(begins, max_size=3), st.lists(echoes | echoes | foreign, max_size=5)
)
stories = st.lists(chapters, min_size=1, max_size=3)
noises = st.lists(numbers, max_size=30)


class Node:
    """A follower, the records that there are for it, and the answers that have not arrived.

    Args:
        known: Whether the operation before the first record is known; it is not after a jump.
    """

    def __init__(self, known: bool) -> None:
        self.bench = Bench()
        self.follower = self.bench.follower
        self.follower.node = "me"
        if not known:
            self.follower.last = None
        self.log: list[Body | None] = []
        self.read = 0
        self.unanswered: list[tuple[Operation, bool]] = []
        self.unrecorded: list[Body] = []

    def open(self, chapter: Chapter) -> None:
        """Begin what is to be begun; the records are written, and nothing is read."""
        for begin in chapter.begins:
            operation = self.follower.begin(begin.selectors, (), begin.settle)
            self.unrecorded += self.follower.bodies(operation)
            self.unanswered.append((operation, begin.taken))
        for record in chapter.records:
            if isinstance(record, Foreign):
                self.log.append(record.body)
            elif self.unrecorded:
                self.log.append(self.unrecorded.pop(record.which % len(self.unrecorded)))

    def answer(self, which: int = 0) -> None:
        """One of the server's answers arrives."""
        operation, taken = self.unanswered.pop(which % len(self.unanswered))
        if taken:
            self.follower.sent(operation, self.follower.epoch)
        else:
            self.follower.unsent(operation)

    def deliver(self, number: int) -> ReadResult:
        """Bring a record, whether it is due or not."""
        return self.bench.read(FIRST + number, self.log[number])

    def read_next(self) -> None:
        """Bring the record that is due."""
        assert self.deliver(self.read) is ReadResult.APPLIED
        self.read += 1

    @property
    def behind(self) -> bool:
        """Whether there is a record to read."""
        return self.read < len(self.log)

    @property
    def queue(self) -> set[Selector]:
        """What is to be sent again."""
        return set(self.follower._unsent)

    def state(self) -> list[Any]:
        """All that it knows and has told, but for what waits to be sent again."""
        index = self.bench.index
        counted = replace(self.follower.stats(), sent=0, queued=0)
        marks = [(name, _values(mark)) for name, mark in index.marks.exact.items()]
        globs = [(name, _values(mark)) for name, mark in index.marks.globs.items()]
        plain = [index.view, index.floor, index.fence, index.marks.fence_floor, self.follower.last]
        timers = [delay for delay, _ in self.bench.timers]
        own = [list(index.pending()), self.follower._settling.holds, timers]
        return [counted, marks, globs, plain, own, self.bench.listener.told]


def _values(mark: Mark) -> list[Any]:
    return [getattr(mark, name) for name in Mark.__slots__]


def clean(story: Iterable[Chapter], known: bool) -> Node:
    """Each answer arrives at once, and each record once."""
    node = Node(known)
    for chapter in story:
        node.open(chapter)
        while node.unanswered:
            node.answer()
        while node.behind:
            node.read_next()
    return node


def disturbed(story: Iterable[Chapter], known: bool, noise: Iterable[int]) -> Node:
    """Answers arrive late and in any order, records early and again, each three times at least."""
    node, noisy = Node(known), iter(noise)
    for chapter in story:
        node.open(chapter)
        while node.behind:
            for number in (next(noisy, 0), next(noisy, 0)):
                if node.unanswered and number % 3 == 0:
                    node.answer(number)
                other = number % len(node.log)
                if other != node.read:
                    due = ReadResult.DUPLICATE if other < node.read else ReadResult.MISSING
                    assert node.deliver(other) is due
            node.read_next()
            assert {node.deliver(node.read - 1) for _ in range(2)} == {ReadResult.DUPLICATE}
    while node.unanswered:
        node.answer(next(noisy, 0))
    return node


def play(story: list[Chapter], known: bool, noise: list[int]) -> None:
    """Both ways, and compare."""
    one, other = clean(story, known), disturbed(story, known, noise)

    assert other.state() == one.state()
    # An answer that came late may leave more to be sent again, which is harmless; never less.
    assert one.queue <= other.queue <= set(other.bench.index.pending())


# One invalidation, several records: a write that timed out lands after it was sent again.


def echoed(begun: list[tuple[Selector, ...]], order: list[int]) -> Bench:
    """A node that has begun all of these, and has read its own records in that order."""
    bench = Bench()
    bench.follower.node = "me"
    bodies: list[Body] = []
    for chosen in begun:
        operation = bench.follower.begin(chosen, (), 0.0)
        bench.follower.unsent(operation)
        bodies += bench.follower.bodies(operation)
    for seq, which in enumerate(order, FIRST):
        assert bench.read(seq, bodies[which]) is ReadResult.APPLIED
    return bench


def verdicts(bench: Bench) -> list[bool]:
    """What is valid of everything that can be held: filled here at any time, or read elsewhere."""
    index = bench.index
    here = [Born(GEN, FIRST - 1, fence) for fence in range(index.fence + 1)]
    elsewhere = [Born(GEN, FIRST - 1), Born(GEN, index.seq)]
    things = [("k", "", ("a",)), ("x", "", ("b",)), ("x", "/p/1", ()), ("x", "/q", ())]
    return [
        index.permits_fill(born, key, "", path, "", tags)
        for born in here + elsewhere
        for key, path, tags in things
    ]


def play_echoes(begun: list[tuple[Selector, ...]], order: list[int]) -> None:
    """The records in that order and number, against each once and in order."""
    one = echoed(begun, [*range(len(begun))])
    other = echoed(begun, order)

    assert verdicts(other) == verdicts(one)
    for bench in (one, other):
        # Begun after the last invalidation, before or after its record came back.
        newest = (Born(GEN, FIRST - 1, bench.index.fence), Born(GEN, bench.index.seq))
        assert all(bench.index.permits_fill(born, "k", "", "/p/1", "", ("a",)) for born in newest)
        assert bench.index.pending_count == bench.follower.queued == 0


@st.composite
def echo_orders(draw: st.DrawFn) -> tuple[list[tuple[Selector, ...]], list[int]]:
    """What was begun, and its records: each once to three times, in any order."""
    begun = draw(st.lists(selectors, min_size=1, max_size=4))
    copies = [which for which in range(len(begun)) for _ in range(draw(st.integers(1, 3)))]
    return begun, draw(st.permutations(copies))


def explore(make: Callable[[], Callable[..., None]], cases: int, number: int) -> None:
    """So many cases of a property, from a seed."""
    limits = settings(
        max_examples=cases,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    seed(number)(limits(make()))()


def reading() -> Callable[..., None]:
    """Records that come again, or too early, and answers that come late."""
    return given(stories, st.booleans(), noises)(play)


def echoing() -> Callable[..., None]:
    """Own records that were written again, in any order."""
    return given(echo_orders())(lambda drawn: play_echoes(*drawn))


@pytest.mark.no_cover  # it repeats what others cover
def test_records_that_come_again_or_too_early_change_nothing(figure: Figure) -> None:
    """Whatever is brought three times or out of turn, the state is that of a clean run."""
    explore(reading, CASES, 0)

    figure("log: duplicates x3, too early", f"0 differences in {CASES:,}", "0", seed=0)


def test_own_records_written_again_and_in_any_order_end_as_one_would(figure: Figure) -> None:
    """Sending twice is harmless: nothing stays pending, and the same is valid everywhere."""
    explore(echoing, CASES, 0)

    figure("log: own echo x3, any order", f"0 differences in {CASES:,}", "0", seed=0)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(SLICES))
def test_a_hundred_thousand_cases_of_duplicates_change_nothing(part: int, figure: Figure) -> None:
    """Both, as long as it takes, in parts that can be run again by their seeds."""
    explore(reading, SLICE, part)
    explore(echoing, SLICE, part)

    what = f"0 differences in 2 x {SLICE:,}"
    figure(f"log: duplicates, part {part + 1} of {SLICES}", what, "0", seed=part)
