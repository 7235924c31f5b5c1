"""A world of nodes, an origin and a server, in which every message can be late, lost or doubled.

The nodes run the package's own `Index` and `Follower`. The server is a model of the scripts (a test
compares it with the real ones). What a node may not do is serve a version of a resource older than
one whose invalidation is in force there: begun by the node itself, or in a record that it has
applied or jumped over.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

import msgspec

from asgi_multitier.coherence.follower import Follower, ReadResult, Verdict
from asgi_multitier.coherence.index import Index
from asgi_multitier.coherence.log import Operation, Update
from asgi_multitier.coherence.marks import ALL, canonical
from asgi_multitier.coherence.records import BEGINNING, Body, Record
from asgi_multitier.coherence.store import Facts
from asgi_multitier.entry import Born, Entry, Slot
from asgi_multitier.selectors import Selector

RESPONSES = ("/a/1", "/b/1:x")
VALUE = "v:1"
RESOURCES = (*RESPONSES, VALUE)


def _selectors(key: str) -> tuple[Selector, ...]:
    """Everything that selects a resource; some of it selects others as well."""
    common = (
        Selector("key", key),
        Selector("tag", f"t{key}"),
        Selector("tag", "both"),
        Selector("glob", key[:2] + "*"),
        Selector("glob", "*" + key[-1]),
        Selector("glob", key[:-1] + "?"),
        ALL,
    )
    if key == VALUE:
        return common
    parent = key.rsplit("/", 1)[0] + "/"
    return (*common, Selector("path", key), Selector("prefix", parent), Selector("route", "route"))


SELECTORS = {key: _selectors(key) for key in RESOURCES}


class Violation(AssertionError):
    """A node served what it knew to be outdated."""


class ModelServer:
    """What the scripts do, as plain Python; and what can happen to a server."""

    def __init__(self) -> None:
        self._names = itertools.count(1)
        self.run = "run-0"
        self.gen: str | None = None
        self.seq = 0
        self.last = ""
        self.born_on = self.run
        self.log: list[Record] = []
        self.data: dict[str, tuple[int, Born]] = {}

    def _begin(self, after: int) -> None:
        gen = f"{next(self._names):032d}"
        self.gen, self.seq, self.last = gen, after + 1, f"gen:{gen}"
        self.born_on = self.run
        self.log = [Record(self.seq, gen, "", self.last, BEGINNING)]

    def append(self, op: str, body: Body, mine: int) -> Born:
        """The script that writes a record."""
        if self.gen is None:
            self._begin(mine)
        assert self.gen is not None
        if self.log and self.log[-1].seq > self.seq:
            self._begin(self.seq + 1)
        self.seq += 1
        self.log.append(Record(self.seq, self.gen, self.last, op, body))
        self.last = op
        return Born(self.gen, self.seq)

    def attach(self, mine: int, condemned: str = "") -> Facts:
        """The script that says what the log holds."""
        if self.gen is None or self.gen == condemned or self.born_on != self.run:
            known = self.seq if self.gen is not None else 0
            self._begin(max(mine, known))
        assert self.gen is not None
        at = next((record.op for record in self.log if record.seq == mine), None)
        first = self.log[0].seq if self.log else None
        top = self.log[-1].seq if self.log else None
        return Facts(self.gen, self.seq, self.last, first, top, at)

    def read_after(self, seq: int, count: int) -> list[Record]:
        """XREAD."""
        return [record for record in self.log if record.seq > seq][:count]

    def write(self, key: str, version: int, born: Born) -> None:
        """The script that stores an entry unless a younger one is there."""
        held = self.data.get(key)
        if held is not None and held[1].gen == born.gen and held[1].seq > born.seq:
            return
        self.data[key] = (version, born)

    # Faults.

    def trim(self, keep: int) -> None:
        """MAXLEN, or an operator."""
        self.log = self.log[-keep:] if keep else []

    def evict_control(self) -> None:
        """allkeys-lru took the hash."""
        self.gen, self.seq, self.last = None, 0, ""

    def flush(self) -> None:
        """FLUSHALL."""
        self.evict_control()
        self.log = []
        self.data = {}

    def fail_over(self, lost: int) -> None:
        """A replica that lacks the last records is promoted. Data in other slots stay."""
        self.run = f"run-{next(self._names)}"
        if self.gen is None:
            return
        kept = [record for record in self.log if record.seq <= self.seq - lost]
        if not kept:
            self.flush_control_only()
            return
        self.log = kept
        self.seq, self.last = kept[-1].seq, kept[-1].op

    def flush_control_only(self) -> None:
        self.evict_control()
        self.log = []


@dataclass
class Flight:
    """A fill under way."""

    path: str
    born: Born
    version: int | None = None


@dataclass
class Reading:
    """A read of the shared tier whose reply has not landed."""

    path: str
    held: tuple[int, Born]
    permitted_when_asked: bool


@dataclass
class Guards:
    """Guards of the protocol; a mutant lacks one."""

    born_first: bool = True
    recheck_after_read: bool = True
    check_generation: bool = True
    pending: bool = True
    recheck_at_end: bool = True
    floor: bool = True
    requeue: bool = True
    view: bool = True
    judge_values: bool = True


class MutantIndex(Index):
    """An index that lacks some of its guards."""

    guards: Guards

    def permits_fill(self, born, key, name, path, route, tags):  # type: ignore[no-untyped-def]
        if not self.guards.check_generation:
            born = msgspec.structs.replace(born, gen=self.gen)
        if not self.guards.floor:
            born = msgspec.structs.replace(
                born, seq=max(born.seq, self.floor), fence=max(born.fence, -1)
            )
        return super().permits_fill(born, key, name, path, route, tags)

    def apply(self, seq, selectors, own_fence=None):  # type: ignore[no-untyped-def]
        view = self.view
        super().apply(seq, selectors, own_fence)
        if not self.guards.view:
            self.view = view

    def begin(self, selectors):  # type: ignore[no-untyped-def]
        fence = super().begin(selectors)
        if not self.guards.pending:
            for selector in selectors:
                mark = self.marks.find(canonical(selector))
                if mark is not None:
                    mark.fence = 0
                    mark.echoed = mark.begun
        return fence


@dataclass
class Node:
    """One worker."""

    world: "World"
    index: Index
    follower: Follower
    attached: bool = False
    local: dict[str, Slot] = field(default_factory=dict)
    flights: list[Flight] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)
    begun: list[tuple[int, Selector, str, int]] = field(default_factory=list)
    timers: list[Callable[[], None]] = field(default_factory=list)
    published: list[tuple[str, int, Born, Born]] = field(default_factory=list)

    def dropped(self, selectors: object) -> None:
        """Nothing: entries are judged when read."""

    def updated(self, updates: list[Update], born: Born) -> None:
        for update in updates:
            if update.value is not None:
                entry = self.world.entry(update.key, int(update.value), born)
                if self.index.permits(entry):
                    self.keep(entry)

    def flushed(self) -> None:
        self.local.clear()

    def keep(self, entry: Entry) -> None:
        """Store, noting the view at which it was found valid."""
        self.local[entry.key] = Slot(entry, self.index.view if self.index.settled else -1)

    def know(self, path: str, version: int) -> None:
        self.known[path] = max(version, self.known.get(path, 0))


class World:
    """Nodes, origin, server, and messages on their way."""

    def __init__(
        self, nodes: int = 2, guards: Guards | None = None, *, narrow: bool = False
    ) -> None:
        self.guards = guards or Guards()
        self.narrow = narrow
        self.server = ModelServer()
        self.versions = dict.fromkeys(RESOURCES, 0)
        self.covers: dict[str, list[tuple[str, int]]] = {}
        self.appended: list[tuple[str, int, int, str]] = []
        self.late_writes: list[tuple[str, int, Born]] = []
        self.late_appends: list[tuple[Node, str, Body]] = []
        self.replies: list[tuple[Node, Operation, int]] = []
        self.operations: list[tuple[Node, Operation]] = []
        self.nodes = [self.make_node() for _ in range(nodes)]
        self.served = 0

    def make_node(self) -> Node:
        selectors, globs = (5, 2) if self.narrow else (100, 100)
        index = MutantIndex(max_selectors=selectors, max_globs=globs, clock=lambda: 0.0)
        index.guards = self.guards
        index.distrust()
        timers: list[Callable[[], None]] = []
        follower = Follower(
            index,
            later=lambda _, callback: timers.append(callback),
            clock=lambda: 0.0,
            max_pending=4 if self.narrow else 100,
            wall=lambda: 0.0,
        )
        if not self.guards.judge_values:
            follower._still_valid = lambda body: (  # type: ignore[method-assign]
                Update(*update) for update in body.updates
            )
        node = Node(self, index, follower, timers=timers)
        follower.listener = node
        return node

    def entry(self, path: str, version: int, born: Born) -> Entry:
        return Entry(
            key=path,
            payload=str(version).encode(),
            born=born,
            created=0.0,
            fresh_until=1.0,
            keep_until=1.0,
            filled_at=0.0,
            path="" if path == VALUE else path,
            route="" if path == VALUE else "route",
            tags=(f"t{path}", "both"),
        )

    # The origin and its invalidations.

    def mutate(self, node: Node, path: str, selector: Selector, *, settle: bool = False) -> None:
        """Commit at the origin, then begin to invalidate."""
        self.versions[path] += 1
        operation = node.follower.begin([selector], (), 1.0 if settle else 0.0)
        self._note_begun(node, path, canonical(selector), operation)

    def update(self, node: Node, path: str = VALUE) -> None:
        """Commit at the origin, and tell everybody the new value."""
        self.versions[path] += 1
        version = self.versions[path]
        update = Update(path, str(version).encode(), 1.0, (f"t{path}", "both"))
        operation = node.follower.begin((), [update], 0.0)
        node.keep(self.entry(path, version, node.index.born()))
        self._note_begun(node, path, Selector("key", path), operation)

    def _note_begun(self, node: Node, path: str, selector: Selector, operation: Operation) -> None:
        version = self.versions[path]
        node.begun.append((operation.fence, selector, path, version))
        node.know(path, version)
        self.operations.append((node, operation))

    def resend(self, node: Node) -> None:
        operation = node.follower.resend()
        if operation is not None:
            self.operations.append((node, operation))

    def send(self, which: int, outcome: str) -> None:
        """Send an operation that waits: it arrives, it does not, or nobody learns that it did."""
        node, operation = self.operations.pop(which)
        epoch = node.follower.epoch
        if outcome == "lost":
            node.follower.unsent(operation)
            return
        for number, body in enumerate(node.follower.bodies(operation)):
            op = f"{operation.id}.{number}"
            self._cover(node, op, body)
            if outcome == "late":
                self.late_appends.append((node, op, body))
            else:
                position = self._append(node, op, body)
        if outcome == "done":
            self.replies.append((node, operation, epoch))
            for update in operation.updates:
                version = int(update.value or b"0")
                node.published.append((update.key, version, operation.born, position))
        else:
            node.follower.unsent(operation)

    def _cover(self, node: Node, op: str, body: Body) -> None:
        chosen = {canonical(selector) for selector in body.selectors}
        chosen |= {Selector("key", update[0]) for update in body.updates}
        self.covers[op] = [
            (path, version)
            for fence, selector, path, version in node.begun
            if fence <= body.fence and (ALL in chosen or selector in chosen)
        ]

    def _append(self, node: Node, op: str, body: Body) -> Born:
        position = self.server.append(op, body, node.index.seq)
        for path, version in self.covers[op]:
            self.appended.append((position.gen, position.seq, version, path))
        return position

    def land_append(self, which: int) -> None:
        """A record whose sender had given up arrives."""
        self._append(*self.late_appends.pop(which))

    def land_reply(self, which: int) -> None:
        node, operation, epoch = self.replies.pop(which)
        if node in self.nodes:
            node.follower.sent(operation, epoch)

    # The tail.

    def poll(self, node: Node, count: int) -> None:
        """Read on; where that does not fit, ask and go on from where that leaves the node."""
        if not node.attached:
            self.attach(node)
            return
        records = self.server.read_after(node.index.seq, count)
        if not records:
            self.attach(node)
            return
        for record in records:
            result = node.follower.read(record)
            if result is ReadResult.APPLIED:
                for path, version in self.covers.get(record.op, ()):
                    node.know(path, version)
            elif result is not ReadResult.DUPLICATE:
                self.attach(node, result, record)
                return
        if len(records) < count:
            node.index.trust()

    def attach(
        self, node: Node, result: ReadResult | None = None, record: Record | None = None
    ) -> None:
        node.attached = True
        facts = self.server.attach(node.index.seq)
        verdict = node.follower.judge(facts)
        before = None
        if verdict in (Verdict.CURRENT, Verdict.BEHIND):
            if result is ReadResult.REPLACED:
                verdict = Verdict.REPLACED
            elif result is ReadResult.MISSING and record is not None:
                verdict, before = Verdict.LOST, record.seq
        if verdict is Verdict.REPLACED:
            facts = self.server.attach(node.index.seq, facts.gen)
        if verdict not in (Verdict.CURRENT, Verdict.BEHIND):
            node.index.distrust()
            self._adopt(node, facts, before)
        if node.index.seq >= facts.seq:
            node.index.trust()

    def _adopt(self, node: Node, facts: Facts, before: int | None) -> None:
        node.follower.adopt(facts, before=before)
        if not self.guards.requeue:
            node.follower._unsent.clear()
        for gen, seq, version, path in self.appended:
            # What was logged before the place it goes on from cannot be read any more.
            if gen != facts.gen or seq <= node.index.seq:
                node.know(path, version)

    def disconnect(self, node: Node) -> None:
        node.attached = False

    def fail_over(self, lost: int) -> None:
        self.server.fail_over(lost)
        for node in self.nodes:
            node.attached = False

    def restart(self, which: int) -> None:
        """kill -9 of a worker, once it has nothing to say: what it dies with is not covered."""
        node = self.nodes[which]
        busy = any(sender is node for sender, _ in self.operations) or node.index.pending_count
        if not busy:
            self.nodes[which] = self.make_node()

    def fault(self, kind: str) -> None:
        """Something happens to the server."""
        faults: dict[str, Callable[[], None]] = {
            "trim": lambda: self.server.trim(1),
            "trim all": lambda: self.server.trim(0),
            "evict control": self.server.evict_control,
            "flush": self.server.flush,
            "fail over": lambda: self.fail_over(2),
        }
        faults[kind]()

    def end_settling(self, node: Node, which: int) -> None:
        node.timers.pop(which)()

    # Fills and reads.

    def open(self, node: Node, path: str) -> None:
        node.flights.append(Flight(path, node.index.born()))

    def ask_origin(self, node: Node, which: int) -> None:
        flight = node.flights[which]
        if flight.version is None:
            flight.version = self.versions[flight.path]

    def land(self, node: Node, which: int) -> None:
        flight = node.flights.pop(which)
        version = self.versions[flight.path] if flight.version is None else flight.version
        born = flight.born if self.guards.born_first else node.index.born()
        entry = self.entry(flight.path, version, born)
        if self.guards.recheck_at_end and not node.index.permits(entry):
            return
        node.keep(entry)
        if node.index.settled:
            self.late_writes.append((flight.path, version, born))

    def publish(self, node: Node, which: int) -> None:
        """Write a value that rode along to the shared tier, once its record has been reached."""
        path, version, begun, position = node.published[which]
        if node.index.gen == position.gen and node.index.seq < position.seq:
            return
        del node.published[which]
        entry = self.entry(path, version, begun)
        if node.index.gen == position.gen and node.index.settled and node.index.permits(entry):
            self.late_writes.append((path, version, position))

    def fill(self, node: Node, path: str) -> None:
        """A whole fill at once, into both tiers."""
        self.open(node, path)
        waiting = len(self.late_writes)
        self.land(node, len(node.flights) - 1)
        if len(self.late_writes) > waiting:
            self.land_write(len(self.late_writes) - 1)

    def land_write(self, which: int) -> None:
        path, version, born = self.late_writes.pop(which)
        self.server.write(path, version, msgspec.structs.replace(born, fence=-1))

    def ask_shared(self, node: Node, path: str) -> None:
        held = self.server.data.get(path)
        if held is not None and node.index.settled:
            permitted = node.index.permits_shared(self.entry(path, *held))
            node.readings.append(Reading(path, held, permitted))

    def land_reading(self, node: Node, which: int) -> None:
        reading = node.readings.pop(which)
        entry = self.entry(reading.path, *reading.held)
        if self.guards.recheck_after_read:
            permitted = node.index.permits_shared(entry)
        else:
            permitted = reading.permitted_when_asked
        if permitted:
            node.keep(entry)
            self._serve(node, entry)

    def read(self, node: Node, path: str) -> None:
        slot = node.local.get(path)
        if slot is None:
            return
        if slot.view != node.index.view:
            if not node.index.permits(slot.entry):
                return
            if node.index.settled:
                slot.view = node.index.view
        self._serve(node, slot.entry)

    def _serve(self, node: Node, entry: Entry) -> None:
        self.served += 1
        assert isinstance(entry.payload, bytes)
        version, known = int(entry.payload), node.known.get(entry.key, 0)
        if version < known:
            raise Violation(f"{entry.key} served at {version}, {known} was known: {entry}")

    # The end.

    def settle(self) -> None:
        """Deliver everything; then nobody may have an old version, and nothing may be pending."""
        for node in self.nodes:
            for timer in node.timers:
                timer()
            node.timers.clear()
        while self.late_appends:
            self.land_append(0)
        while self.late_writes:
            self.land_write(0)
        for _ in range(40):
            while self.operations:
                self.send(0, "done")
            while self.replies:
                self.land_reply(0)
            for node in self.nodes:
                self.poll(node, 100)
                self.resend(node)
        for node in self.nodes:
            assert node.index.pending_count == 0, node.index
            assert node.follower.queued == 0, node.index
            for path in RESOURCES:
                node.know(path, self.versions[path])
                self.read(node, path)
                self.ask_shared(node, path)
            while node.readings:
                self.land_reading(node, 0)


def walk(seed: int, guards: Guards | None = None, *, steps: int = 60, faults: int = 1) -> int:
    """One schedule of a seeded random walk, to its end.

    Args:
        seed: What it is drawn from.
        guards: What the protocol has; all of it if None.
        steps: Moves before the end, where everything is delivered.
        faults: How likely the server fails, against 1 in some 50.

    Returns:
        How often something was served.
    """
    chance = Random(seed)
    world = World(3, guards, narrow=seed % 4 == 0)
    for node in world.nodes:
        world.poll(node, 100)
    for _ in range(steps):
        node, key = chance.choice(world.nodes), chance.choice(RESOURCES)
        _step(world, chance, node, key, {**WEIGHTS, "fault": faults})
    world.settle()
    return world.served


def _step(world: World, chance: Random, node: Node, key: str, weights: dict[str, int]) -> None:
    moves: dict[str, Callable[[], object]] = {
        "mutate": lambda: world.mutate(
            node, key, chance.choice(SELECTORS[key]), settle=chance.random() < 0.1
        ),
        "invalidate": lambda: (
            world.mutate(node, key, chance.choice(SELECTORS[key])),
            world.send(len(world.operations) - 1, "done"),
        ),
        "update": lambda: world.update(node),
        "poll": lambda: world.poll(node, chance.choice((1, 2, 100))),
        "open": lambda: world.open(node, key),
        "fill": lambda: world.fill(node, key),
        "ask": lambda: world.ask_shared(node, key),
        "share": lambda: (
            world.ask_shared(node, key),
            node.readings and world.land_reading(node, -1),
        ),
        "read": lambda: world.read(node, key),
        "resend": lambda: world.resend(node),
        "fault": lambda: world.fault(chance.choice(FAULTS)),
        "cut": lambda: world.disconnect(node),
        "distrust": lambda: node.index.distrust(),
        "restart": lambda: world.restart(world.nodes.index(node)),
    }
    if world.operations:
        outcome = chance.choice(("done", "done", "done", "lost", "unknown", "late"))
        moves["send"] = lambda: world.send(chance.randrange(len(world.operations)), outcome)
    for name, waiting, land in (
        ("land_append", world.late_appends, world.land_append),
        ("land_reply", world.replies, world.land_reply),
        ("land_write", world.late_writes, world.land_write),
        ("ask_origin", node.flights, partial(world.ask_origin, node)),
        ("land", node.flights, partial(world.land, node)),
        ("land_reading", node.readings, partial(world.land_reading, node)),
        ("publish", node.published, partial(world.publish, node)),
        ("end_settling", node.timers, partial(world.end_settling, node)),
    ):
        if waiting:
            moves[name] = partial(land, chance.randrange(len(waiting)))
    names = list(moves)
    moves[chance.choices(names, [weights.get(name, 3) for name in names])[0]]()


FAULTS = ("trim", "trim all", "evict control", "flush", "fail over", "fail over")
WEIGHTS = {
    "fill": 8,
    "read": 8,
    "poll": 10,
    "share": 6,
    "cut": 1,
    "distrust": 1,
    "restart": 1,
    "update": 2,
}
