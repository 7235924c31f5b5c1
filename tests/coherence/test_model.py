"""The protocol under every order of events that Hypothesis can think of, and its mutants."""

import os
from collections import deque
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.coherence.world import FAULTS, RESOURCES, SELECTORS, Guards, Violation, World, walk
from tests.figures import Figure

SCHEDULES = int(os.environ.get("MODEL_SCHEDULES", "200"))
WALKS = int(os.environ.get("MODEL_WALKS", "1000"))
SLICES = 20
SLICE = 100_000 // SLICES

nodes = st.integers(0, 2)
paths = st.sampled_from(RESOURCES)
numbers = st.integers(0, 7)


class Protocol(RuleBasedStateMachine):
    """Each rule is one message or one fault."""

    @initialize(narrow=st.booleans())
    def begin(self, narrow: bool) -> None:
        self.world = World(nodes=3, narrow=narrow)
        for node in self.world.nodes:
            self.world.poll(node, 100)

    def node(self, number: int) -> Any:
        return self.world.nodes[number]

    @rule(node=nodes, path=paths, which=st.integers(0, 9), settle=st.booleans())
    def mutate(self, node: int, path: str, which: int, settle: bool) -> None:
        choice = SELECTORS[path]
        self.world.mutate(self.node(node), path, choice[which % len(choice)], settle=settle)

    @rule(node=nodes, path=paths, which=st.integers(0, 9))
    def invalidate(self, node: int, path: str, which: int) -> None:
        """The whole of it at once, as it goes on most days."""
        self.mutate(node, path, which, settle=False)
        self.world.send(len(self.world.operations) - 1, "done")

    @rule(node=nodes, path=paths)
    def fill(self, node: int, path: str) -> None:
        """The whole of it at once, into both tiers."""
        self.world.fill(self.node(node), path)

    @rule(node=nodes)
    def update(self, node: int) -> None:
        self.world.update(self.node(node))

    @rule(which=numbers, outcome=st.sampled_from(("done", "done", "lost", "unknown", "late")))
    def send(self, which: int, outcome: str) -> None:
        if self.world.operations:
            self.world.send(which % len(self.world.operations), outcome)

    @rule(node=nodes)
    def resend(self, node: int) -> None:
        self.world.resend(self.node(node))

    @rule(node=nodes, which=numbers)
    def publish(self, node: int, which: int) -> None:
        published = self.node(node).published
        if published:
            self.world.publish(self.node(node), which % len(published))

    @rule(which=numbers)
    def land_append(self, which: int) -> None:
        if self.world.late_appends:
            self.world.land_append(which % len(self.world.late_appends))

    @rule(which=numbers)
    def land_reply(self, which: int) -> None:
        if self.world.replies:
            self.world.land_reply(which % len(self.world.replies))

    @rule(node=nodes, count=st.sampled_from((1, 2, 100)))
    def poll(self, node: int, count: int) -> None:
        self.world.poll(self.node(node), count)

    @rule(node=nodes, path=paths)
    def open(self, node: int, path: str) -> None:
        self.world.open(self.node(node), path)

    @rule(node=nodes, which=numbers)
    def ask_origin(self, node: int, which: int) -> None:
        flights = self.node(node).flights
        if flights:
            self.world.ask_origin(self.node(node), which % len(flights))

    @rule(node=nodes, which=numbers)
    def land(self, node: int, which: int) -> None:
        flights = self.node(node).flights
        if flights:
            self.world.land(self.node(node), which % len(flights))

    @rule(which=numbers)
    def land_write(self, which: int) -> None:
        if self.world.late_writes:
            self.world.land_write(which % len(self.world.late_writes))

    @rule(node=nodes, path=paths)
    def ask_shared(self, node: int, path: str) -> None:
        self.world.ask_shared(self.node(node), path)

    @rule(node=nodes, which=numbers)
    def land_reading(self, node: int, which: int) -> None:
        readings = self.node(node).readings
        if readings:
            self.world.land_reading(self.node(node), which % len(readings))

    @rule(node=nodes, path=paths)
    def read(self, node: int, path: str) -> None:
        self.world.read(self.node(node), path)

    @rule(kind=st.sampled_from(FAULTS))
    def fault(self, kind: str) -> None:
        self.world.fault(kind)

    @rule(node=nodes)
    def cut(self, node: int) -> None:
        self.world.disconnect(self.node(node))

    @rule(node=nodes)
    def distrust(self, node: int) -> None:
        self.node(node).index.distrust()

    @rule(node=nodes)
    def restart(self, node: int) -> None:
        self.world.restart(node)

    @rule(node=nodes)
    def end_settling(self, node: int) -> None:
        timers = self.node(node).timers
        if timers:
            timers.pop(0)()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.settle()


def explore(schedules: int, number: int | None = None) -> None:
    """Let Hypothesis choose so many schedules; from a seed where one is given."""
    run_state_machine_as_test(
        Protocol if number is None else seed(number)(type("Seeded", (Protocol,), {})),
        settings=settings(
            max_examples=schedules,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(300)
@pytest.mark.no_cover  # it repeats what others cover
def test_no_schedule_serves_what_is_known_to_be_outdated(figure: Figure) -> None:
    """No order of messages and faults lets a node serve an older version than one it knows of."""
    explore(SCHEDULES)

    figure("model, schedules of Hypothesis", f"0 violations in {SCHEDULES:,}", "0")


@pytest.mark.timeout(300)
@pytest.mark.no_cover  # it repeats what others cover
def test_no_random_walk_serves_what_is_known_to_be_outdated(figure: Figure) -> None:
    """The same over many more schedules, which are drawn faster and are not shrunk."""
    served = sum(walk(number) for number in range(WALKS))

    figure("model, random walks", f"0 violations in {WALKS:,}", "0", seed=f"0-{WALKS - 1}")
    assert served > WALKS


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(SLICES))
def test_a_hundred_thousand_schedules_serve_nothing_outdated(part: int, figure: Figure) -> None:
    """The same, as long as it takes, in parts that can be run again by their seeds."""
    explore(SLICE, part)
    for number in range(part * SLICE, (part + 1) * SLICE):
        walk(number)

    what = f"0 violations in {SLICE:,} schedules and {SLICE:,} walks"
    figure(f"model, part {part + 1} of {SLICES}", what, "0", seed=part)


MUTANTS = [
    pytest.param("born_first", 1, id="birth taken at the end of the fill"),
    pytest.param("recheck_after_read", 1, id="shared tier's answer judged before it came"),
    pytest.param("check_generation", 8, id="numbers of two generations compared"),
    pytest.param("pending", 1, id="own invalidation in force only once it is read back"),
    pytest.param("recheck_at_end", 1, id="fill stored without asking again"),
    pytest.param("floor", 1, id="what the index has forgotten counts as valid"),
    pytest.param("requeue", 1, id="sent but not seen back is not sent again"),
    pytest.param("view", 1, id="view stands while records are applied"),
    pytest.param("judge_values", 1, id="values taken from a record that lingered"),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("guard", "faults"), MUTANTS)
@pytest.mark.no_cover  # it repeats what others cover
def test_the_model_catches_a_missing_guard(guard: str, faults: int) -> None:
    """A protocol without this guard is found out."""
    guards = Guards(**{guard: False})

    with pytest.raises(AssertionError):
        deque((walk(seed, guards, faults=faults) for seed in range(20_000)), maxlen=0)


def test_the_world_does_serve() -> None:
    """An ordinary day serves from both tiers: the model does not pass by doing nothing."""
    world = World(nodes=2)
    first, second = world.nodes
    for node in (*world.nodes, *world.nodes):
        world.poll(node, 100)
    world.open(first, "/a/1")
    world.land(first, 0)
    world.land_write(0)
    world.read(first, "/a/1")
    world.ask_shared(second, "/a/1")
    world.land_reading(second, 0)
    world.read(second, "/a/1")

    assert world.served == 3


def test_a_known_version_forbids_an_older_one() -> None:
    """The checker itself raises."""
    world = World(nodes=1)
    node = world.nodes[0]
    node.know("/a/1", 3)

    with pytest.raises(Violation):
        world._serve(node, world.entry("/a/1", 2, node.index.born()))
