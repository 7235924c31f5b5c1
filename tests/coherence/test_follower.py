"""The protocol's decisions, one by one. The model tests them together."""

from collections.abc import Callable

import pytest

from asgi_multitier.coherence.follower import Follower, ReadResult, Verdict
from asgi_multitier.coherence.index import Index
from asgi_multitier.coherence.log import MAX_RIDE, Operation, Update
from asgi_multitier.coherence.marks import ALL
from asgi_multitier.coherence.records import Body, Record
from asgi_multitier.coherence.store import Facts
from asgi_multitier.entry import Born
from asgi_multitier.errors import InvalidationError
from asgi_multitier.selectors import MAX_TEXT, Selector, glob_matches

GEN = "g"
TAG = Selector("tag", "t")


class Listener:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def dropped(self, selectors: object) -> None:
        self.told.append(("dropped", selectors))

    def updated(self, updates: object, born: Born) -> None:
        self.told.append(("updated", updates, born))

    def flushed(self) -> None:
        self.told.append("flushed")


class Bench:
    """A follower at position 5 of generation `g`, with its clock and timers."""

    def __init__(self, **settings: object) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.index = Index(clock=lambda: self.now)
        self.index.enter(GEN, 5)
        self.follower = Follower(
            self.index,
            later=lambda delay, callback: self.timers.append((delay, callback)),
            clock=lambda: self.now,
            **settings,  # type: ignore[arg-type]
        )
        self.follower.last = "op5"
        self.listener = Listener()
        self.follower.listener = self.listener

    def body(self, *selectors: Selector, node: str = "other", **fields: object) -> Body:
        given: dict[str, object] = {"gen": GEN, "seq": 5, "fence": 0, "settle": 0.0, **fields}
        return Body(version=1, node=node, selectors=selectors, **given)  # type: ignore[arg-type]

    def read(self, seq: int = 6, body: Body | None = None, **fields: str) -> ReadResult:
        given = {"gen": GEN, "prev": f"op{seq - 1}", "op": f"op{seq}", **fields}
        return self.follower.read(Record(seq=seq, body=body, **given))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def facts(**given: object) -> Facts:
    plain = {"gen": GEN, "seq": 5, "last": "op5", "first": 1, "top": 5, "at": "op5"}
    return Facts(**{**plain, **given})  # type: ignore[arg-type]


RESULTS = [
    pytest.param(6, {}, ReadResult.APPLIED, id="next"),
    pytest.param(5, {}, ReadResult.DUPLICATE, id="applied already"),
    pytest.param(2, {}, ReadResult.DUPLICATE, id="long applied"),
    pytest.param(7, {}, ReadResult.MISSING, id="a number is missing"),
    pytest.param(6, {"prev": "another"}, ReadResult.REPLACED, id="the chain is broken"),
    pytest.param(6, {"gen": "h"}, ReadResult.REPLACED, id="another generation"),
]


@pytest.mark.parametrize(("seq", "fields", "result"), RESULTS)
def test_only_the_next_record_of_the_chain_is_applied(
    bench: Bench, seq: int, fields: dict[str, str], result: ReadResult
) -> None:
    """Generation, number and previous operation must all fit."""
    assert bench.read(seq, bench.body(TAG), **fields) is result
    assert bench.index.seq == (6 if result is ReadResult.APPLIED else 5)


def test_without_a_known_predecessor_any_chain_begins(bench: Bench) -> None:
    """After a jump the first record is taken as it is, and the next must follow it."""
    bench.follower.last = None

    assert bench.read(6, bench.body(), prev="whatever") is ReadResult.APPLIED
    assert bench.read(7, bench.body(), prev="else") is ReadResult.REPLACED


VERDICTS = [
    pytest.param(facts(), Verdict.CURRENT, id="the same"),
    pytest.param(facts(gen="h"), Verdict.OTHER, id="another generation"),
    pytest.param(facts(seq=4, last="op4", top=4, at=None), Verdict.REPLACED, id="went back"),
    pytest.param(facts(last="else"), Verdict.REPLACED, id="same number, another operation"),
    pytest.param(facts(top=9), Verdict.REPLACED, id="records above the control hash"),
    pytest.param(facts(seq=9, top=9, at="else"), Verdict.REPLACED, id="overtook us"),
    pytest.param(facts(seq=9, top=9), Verdict.BEHIND, id="more to read"),
    pytest.param(facts(seq=9, first=6, top=9, at=None), Verdict.BEHIND, id="trimmed up to us"),
    pytest.param(facts(seq=9, first=7, top=9, at=None), Verdict.LOST, id="trimmed past us"),
    pytest.param(facts(seq=9, first=None, top=None, at=None), Verdict.LOST, id="log gone, behind"),
    pytest.param(facts(first=None, top=None, at=None), Verdict.CURRENT, id="log gone, up to date"),
]


@pytest.mark.parametrize(("stated", "verdict"), VERDICTS)
def test_what_the_server_states_is_judged(bench: Bench, stated: Facts, verdict: Verdict) -> None:
    """Every way that a log can stand to what was applied."""
    assert bench.follower.judge(stated) is verdict


def test_an_unknown_operation_at_our_number_proves_nothing(bench: Bench) -> None:
    """After a jump we do not know the operation at our number."""
    bench.follower.last = None

    assert bench.follower.judge(facts(last="else", at="else")) is Verdict.CURRENT
    assert bench.follower.judge(facts(seq=9, top=9, at="else")) is Verdict.BEHIND


ADOPTIONS = [
    pytest.param(facts(gen="h", seq=9, first=3, top=9), None, 2, None, id="from the oldest record"),
    pytest.param(facts(gen="h", seq=9, first=None), None, 9, "op5", id="empty log: from its end"),
    pytest.param(facts(seq=9, first=2, top=9), 8, 7, None, id="from beyond a hole"),
]


@pytest.mark.parametrize(("stated", "before", "position", "last"), ADOPTIONS)
def test_adopting_goes_on_from_the_oldest_record_kept(
    bench: Bench, stated: Facts, before: int | None, position: int, last: str | None
) -> None:
    """The floor stands there, everything local is dropped once, and it is counted."""
    bench.follower.adopt(stated, before=before)

    assert (bench.index.gen, bench.index.seq) == (stated.gen, position)
    assert bench.index.floor == position
    assert bench.follower.last == last
    assert bench.listener.told == ["flushed"]
    assert bench.follower.stats().gaps == 1


def test_the_first_adoption_is_no_gap() -> None:
    """A node that had no position has lost none."""
    bench = Bench()
    bench.index.enter("", 0)
    bench.follower.adopt(facts())

    assert bench.follower.stats().gaps == 0


def test_another_nodes_record_is_passed_on(bench: Bench) -> None:
    """The owner of the local tiers hears the selectors."""
    bench.read(6, bench.body(TAG))

    assert bench.listener.told == [("dropped", (TAG,))]
    assert bench.follower.stats().applied == {"tag": 1}


def test_an_own_record_is_not_passed_on(bench: Bench) -> None:
    """It is in force since it was begun; now it is not pending any more, and its lag known."""
    operation = bench.follower.begin([TAG], (), 0.0)
    bench.follower.sending(operation.id)
    bench.now = 0.25
    (body,) = bench.follower.bodies(operation)
    bench.read(6, body, op=operation.id)
    stats = bench.follower.stats()

    assert bench.listener.told == []
    assert bench.index.pending_count == 0
    assert (stats.received, stats.echoed) == (1, 1)
    assert stats.lag_p50 == stats.lag_p99 == 0.25


def test_an_operation_that_failed_is_queued_once_for_each_selector(bench: Bench) -> None:
    """Coalesced: three failures on two tags wait as two, and go out as one record."""
    for tag in ("a", "b", "a"):
        bench.follower.unsent(bench.follower.begin([Selector("tag", tag)], (), 0.0))
    again = bench.follower.resend()

    assert bench.follower.queued == 2
    assert again is not None
    assert set(again.selectors) == {Selector("tag", "a"), Selector("tag", "b")}
    assert again.fence == 3


def test_the_queue_is_empty_once_it_was_sent(bench: Bench) -> None:
    """What was sent waits no more, though it is pending until it is read back."""
    bench.follower.unsent(bench.follower.begin([TAG], (), 0.0))
    again = bench.follower.resend()
    assert again is not None
    bench.follower.sent(again, bench.follower.epoch)

    assert bench.follower.resend() is None
    assert bench.index.pending_count == 1


def test_what_failed_while_an_older_one_was_on_its_way_stays_queued(bench: Bench) -> None:
    """The older record does not cover the younger invalidation of the same selector."""
    bench.follower.unsent(bench.follower.begin([TAG], (), 0.0))
    again = bench.follower.resend()
    assert again is not None
    bench.follower.unsent(bench.follower.begin([TAG], (), 0.0))
    bench.follower.sent(again, bench.follower.epoch)

    assert bench.follower.queued == 1


def test_what_was_sent_into_a_history_given_up_is_sent_again(bench: Bench) -> None:
    """Adopting queues all that is pending; a reply from before it does not unqueue it."""
    operation = bench.follower.begin([TAG], (), 0.0)
    epoch = bench.follower.epoch
    bench.follower.adopt(facts(gen="h", first=None))
    bench.follower.sent(operation, epoch)

    assert bench.follower.queued == 1


def told(bench: Bench, *selectors: Selector) -> None:
    """Have the node read back an own record that names these."""
    operation = bench.follower.begin(selectors, (), 0.0)
    (body,) = bench.follower.bodies(operation)
    seq = bench.index.seq + 1
    bench.read(seq, body, op=operation.id, prev=str(bench.follower.last))


def test_what_a_generation_was_told_is_told_to_the_next(bench: Bench) -> None:
    """That one may have begun before, where nobody heard it; the node itself waits for it too."""
    told(bench, TAG)
    assert bench.index.pending_count == bench.follower.queued == 0
    bench.follower.adopt(facts(gen="h", first=None))
    again = bench.follower.resend()

    assert again is not None
    assert again.selectors == (TAG,)
    assert bench.index.is_pending(TAG)
    assert not bench.index.permits_fill(Born("h", 5), "k", "", "", "", ("t",))


def test_what_the_same_generation_was_told_is_not_told_again(bench: Bench) -> None:
    """A hole in its log lost nothing of what is in it; and once told to the next is enough."""
    told(bench, TAG)
    bench.follower.adopt(facts(seq=9, first=7, top=9, at=None))
    assert bench.follower.queued == 0

    bench.follower.adopt(facts(gen="h", first=None))
    assert bench.follower.queued == 1


def test_more_told_than_can_be_remembered_is_told_again_as_everything() -> None:
    """Neither the memory nor the queue grows beyond its bound."""
    bench = Bench(max_pending=3)
    for number in range(4):
        told(bench, Selector("tag", str(number)))
    bench.follower.adopt(facts(gen="h", first=None))
    again = bench.follower.resend()

    assert again is not None
    assert again.selectors == (ALL,)
    assert bench.follower.stats().overflows == 0


def test_what_is_pending_and_what_was_told_become_everything_where_it_is_too_much() -> None:
    """Each within its bound, and both together beyond it."""
    bench = Bench(max_pending=3)
    for number in range(3):
        told(bench, Selector("tag", str(number)))
    bench.follower.begin([TAG], (), 0.0)
    bench.follower.adopt(facts(gen="h", first=None))
    again = bench.follower.resend()

    assert again is not None
    assert again.selectors == (ALL,)
    assert bench.follower.stats().overflows == 1


def test_an_echo_takes_the_operation_from_the_queue(bench: Bench) -> None:
    """A time-out is no proof of failure: the record that arrives is enough."""
    operation = bench.follower.begin([TAG], (), 0.0)
    (body,) = bench.follower.bodies(operation)
    bench.follower.unsent(operation)
    bench.read(6, body, op=operation.id)

    assert bench.follower.queued == 0


def test_what_is_read_back_need_not_be_queued(bench: Bench) -> None:
    """A failure learnt after the echo changes nothing."""
    operation = bench.follower.begin([TAG], (), 0.0)
    (body,) = bench.follower.bodies(operation)
    bench.read(6, body, op=operation.id)
    bench.follower.unsent(operation)

    assert bench.follower.queued == 0


def test_too_many_pending_become_everything() -> None:
    """Bounded: one selector is left, nothing older is used, and it is counted."""
    bench = Bench(max_pending=10)
    operation = bench.follower.begin([Selector("tag", str(i)) for i in range(11)], (), 0.0)

    assert operation.selectors == (ALL,)
    assert list(bench.index.pending()) == [ALL]
    assert bench.follower.queued == 1
    assert bench.follower.stats().overflows == 1


def test_a_new_value_is_passed_on_as_born_at_its_record(bench: Bench) -> None:
    """Older entries of the key are out, and the value is valid."""
    bench.read(6, bench.body(updates=(("k", b"v", 9.0, ("t",)),)))

    born = Born(GEN, 6)
    assert bench.listener.told == [
        ("dropped", (Selector("key", "k"),)),
        ("updated", [Update("k", b"v", 9.0, ("t",))], born),
    ]
    assert bench.index.permits_fill(born, "k", "", "", "", ("t",))
    assert not bench.index.permits_fill(Born(GEN, 5), "k", "", "", "", ())


@pytest.mark.parametrize("between", [Selector("key", "k"), TAG, ALL], ids=lambda s: s.kind)
def test_a_new_value_that_an_invalidation_overtook_is_not_passed_on(
    bench: Bench, between: Selector
) -> None:
    """Begun at 5, but record 6 selects it: the value of record 7 may be older than that."""
    bench.read(6, bench.body(between))
    bench.listener.told.clear()
    bench.read(7, bench.body(updates=(("k", b"v", 9.0, ("t",)),)))

    assert bench.listener.told == [("dropped", (Selector("key", "k"),))]


def test_a_large_value_does_not_ride_along(bench: Bench) -> None:
    """Up to 64 KiB a value travels in the log; a larger one is fetched by whoever needs it."""
    small, large = b"x" * MAX_RIDE, b"x" * (MAX_RIDE + 1)
    updates = (Update("a", small, 1.0), Update("b", large, 1.0), Update("c", None, 1.0))
    operation = bench.follower.begin((), updates, 0.0)

    assert [update.value for update in operation.updates] == [small, None, None]


def test_a_failed_update_is_sent_again_as_an_invalidation(bench: Bench) -> None:
    """The value may be old by then; that the key changed is not."""
    bench.follower.unsent(bench.follower.begin((), [Update("k", b"v", 1.0)], 0.0))
    again = bench.follower.resend()

    assert again is not None
    assert again.selectors == (Selector("key", "k"),)
    assert again.updates == ()


def test_an_operation_of_many_selectors_is_written_in_bounded_records(bench: Bench) -> None:
    """Neither by number nor by bytes does one record grow without limit."""
    many = tuple(Selector("tag", str(i)) for i in range(2_500))
    long = tuple(Selector("path", "/" + "x" * 8_000 + str(i)) for i in range(20))
    for selectors in (many, long):
        operation = Operation("op", bench.index.born(), selectors)
        bodies = list(bench.follower.bodies(operation))

        assert len(bodies) == 3
        assert tuple(s for body in bodies for s in body.selectors) == selectors


def test_an_unreadable_record_counts_as_everything(bench: Bench) -> None:
    """Nobody knows what it selected."""
    before = bench.index.born()
    bench.now = 10.0

    assert bench.read(6, None) is ReadResult.APPLIED
    assert bench.listener.told == ["flushed"]
    assert not bench.index.permits_fill(Born(GEN, 5), "k", "", "", "", ())
    assert not bench.index.permits_fill(before, "k", "", "", "", ())
    assert bench.follower.stats().processing_errors == 1


def test_a_flood_of_unreadable_records_flushes_once_a_second_and_at_its_end(bench: Bench) -> None:
    """The first flushes at once, the others together when the second is over."""
    bench.now = 10.0
    for seq in range(6, 106):
        bench.read(seq, None)

    assert bench.listener.told == ["flushed"]
    assert [delay for delay, _ in bench.timers] == [1.0]

    filled = bench.index.born()
    bench.read(106, None)
    bench.now = 11.0
    bench.timers[0][1]()

    assert bench.listener.told == ["flushed", "flushed"]
    assert not bench.index.permits_fill(filled, "k", "", "", "", ())


def test_a_flush_that_is_owed_is_not_lost_with_its_event_loop(bench: Bench) -> None:
    """The next loop has no timer of the last one's: what is owed then is done at once."""
    bench.now = 10.0
    bench.read(6, None)
    bench.follower.rearm()
    assert bench.timers == []
    filled = bench.index.born()
    bench.read(7, None)
    bench.timers.clear()
    bench.follower.rearm()
    [(delay, flush)] = bench.timers
    flush()

    assert delay == 0.0
    assert bench.listener.told == ["flushed", "flushed"]
    assert not bench.index.permits_fill(filled, "k", "", "", "", ())


def test_settling_holds_on_the_issuer_and_on_every_reader(bench: Bench) -> None:
    """For the time stated nothing selected is used; then a timer ends it."""
    bench.follower.begin([TAG], (), 2.0)
    bench.read(6, bench.body(Selector("tag", "u"), settle=3.0))

    assert [delay for delay, _ in bench.timers] == [2.0, 3.0]
    for tag in ("t", "u"):
        assert not bench.index.permits_fill(bench.index.born(), "k", "", "", "", (tag,))

    for _, end in bench.timers:
        end()
    for tag in ("t", "u"):
        assert bench.index.permits_fill(bench.index.born(), "k", "", "", "", (tag,))


def test_settling_outlives_a_failed_sending(bench: Bench) -> None:
    """The queue keeps the longest time asked for."""
    for settle in (2.0, 5.0, 1.0):
        bench.follower.unsent(bench.follower.begin([TAG], (), settle))
    again = bench.follower.resend()

    assert again is not None
    assert again.settle == 5.0


def test_a_forked_node_has_another_name_and_sends_what_was_begun(bench: Bench) -> None:
    """The parent's records are another node's to the child."""
    bench.follower.begin([TAG], (), 0.0)
    name = bench.follower.node
    bench.follower.take_new_identity()

    assert bench.follower.node != name
    assert bench.follower.queued == 1


@pytest.mark.parametrize(
    "selector",
    [
        pytest.param(Selector("glob", ""), id="empty glob"),
        pytest.param(Selector("glob", "*" * 9), id="too many stars"),
        pytest.param(Selector("glob", "x" * 257), id="long glob"),
        pytest.param(Selector("path", "/" + "x" * MAX_TEXT), id="long path"),
        pytest.param(Selector("tag", "\u00e9" * (MAX_TEXT // 2 + 1)), id="long in bytes"),
    ],
)
def test_a_selector_that_is_refused_changes_nothing(bench: Bench, selector: Selector) -> None:
    """An InvalidationError, and no fence raised."""
    with pytest.raises(InvalidationError):
        bench.follower.begin([TAG, selector], (), 0.0)
    assert bench.index.pending_count == 0


def test_applying_is_the_same_without_a_listener() -> None:
    """Before anybody listens the index still follows."""
    bench = Bench()
    bench.follower.listener = None
    bench.read(6, bench.body(TAG))
    bench.follower.adopt(facts(gen="h"))

    assert bench.index.gen == "h"


@pytest.mark.parametrize(
    ("sent", "trusted", "lag"),
    [
        pytest.param(999.25, True, 0.75, id="of another node"),
        pytest.param(1_000.5, True, 0.0, id="its clock is ahead"),
        pytest.param(999.25, False, None, id="catching up"),
        pytest.param(None, True, None, id="of an older release"),
    ],
)
def test_a_node_that_only_reads_knows_its_lag(
    sent: float | None, trusted: bool, lag: float | None
) -> None:
    """By the time that the writer put into the record; an old record says nothing of the way."""
    bench = Bench(wall=lambda: 1_000.0)
    bench.read(6, bench.body(TAG, sent=2_000.0))
    if not trusted:
        bench.index.distrust()
    bench.read(7, bench.body(TAG, sent=sent))
    slowest = bench.follower.stats().lag_p99

    assert slowest == (lag or 0.0)
    assert len(bench.follower._lags) == (1 if lag is None else 2)


def test_what_is_written_says_when() -> None:
    """In Unix seconds, on every record of an operation."""
    bench = Bench(wall=lambda: 1_000.0)
    operation = bench.follower.begin([TAG], (), 0.0)

    assert [body.sent for body in bench.follower.bodies(operation)] == [1_000.0]


def test_lags_are_remembered_within_bounds(bench: Bench) -> None:
    """Operations that never come back do not pile up."""
    for number in range(10_000):
        bench.follower.sending(str(number))

    assert len(bench.follower._sent_at) <= 4_096


def test_what_settles_goes_on_settling_when_it_is_sent_again(bench: Bench) -> None:
    """With the seconds that are left, after a change of generation and where all becomes one."""
    bench.follower.begin([TAG], (), 30.0)
    bench.now = 10.0
    bench.follower.adopt(facts(gen="h", seq=0, first=None, top=None, at=None))
    again = bench.follower.resend()

    assert again is not None
    assert (again.selectors, again.settle) == ((TAG,), 20.0)


def test_what_settles_goes_on_settling_when_too_much_is_pending() -> None:
    """The longest of them, for everything."""
    bench = Bench(max_pending=2)
    bench.follower.begin([TAG], (), 30.0)
    overflow = bench.follower.begin([Selector("tag", f"x{n}") for n in range(3)], (), 0.0)

    assert (overflow.selectors, overflow.settle) == ((ALL,), 30.0)


def test_too_much_that_settles_is_everything() -> None:
    """The index may not forget what settles, so there is a bound on it."""
    bench = Bench(max_pending=3)
    for number in range(6, 12):
        tag = Selector("tag", str(number))
        bench.read(number, bench.body(tag, settle=9.0))

    assert not bench.index.permits_fill(bench.index.born(), "k", "", "", "", ("other",))
    for _, release in bench.timers:
        release()
    assert bench.index.permits_fill(bench.index.born(), "k", "", "", "", ("other",))
    assert bench.follower._settling._count == 0


def test_values_are_not_taken_while_catching_up(bench: Bench) -> None:
    """How old they are cannot be told; the key is dropped, and a shared tier may have it."""
    bench.index.distrust()
    bench.read(6, bench.body(updates=(("k", b"old", 9.0, ()),)))

    assert ("updated" in str(bench.listener.told)) is False
    assert bench.listener.told == [("dropped", (Selector("key", "k"),))]


def test_patterns_that_wait_are_united_and_not_everything(bench: Bench) -> None:
    """Hundreds of different ones while the log is away: what they have in common is sent."""
    operations = [
        bench.follower.begin([Selector("glob", f"*:sku-{number}:*")], (), 0.0)
        for number in range(600)
    ]
    for operation in operations:
        bench.follower.unsent(operation)

    assert not any(ALL in operation.selectors for operation in operations)
    assert bench.follower.stats().overflows == 0
    assert len(bench.index) <= 300
    resent = bench.follower.resend()
    assert resent is not None
    for number in range(600):
        text = f"a:sku-{number}:b"
        assert any(glob_matches(selector.text, text) for selector in resent.selectors)
        assert not bench.index.permits_fill(Born(GEN, 5), text, "", "", "", ())
    assert bench.index.permits_fill(Born(GEN, 5), "a:user-1:b", "", "", "", ())


def test_patterns_without_anything_in_common_become_everything_and_are_counted() -> None:
    """There is nothing narrower that covers them."""
    bench = Bench()
    names = [f"*{chr(0x4E00 + number)}*" for number in range(257)]
    operations = [bench.follower.begin([Selector("glob", name)], (), 0.0) for name in names]

    assert operations[-1].selectors == (ALL,)
    assert bench.follower.stats().overflows == 1
