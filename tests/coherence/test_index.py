"""What the index permits: one row a rule, then its bounds."""

import time
import tracemalloc

import pytest

from asgi_multitier.coherence.index import Index
from asgi_multitier.coherence.marks import ALL, MAX_DEPTH, canonical
from asgi_multitier.entry import Born, Entry
from asgi_multitier.selectors import Selector
from tests.figures import Figure

GEN = "g"


def make(**settings: object) -> Index:
    index = Index(clock=lambda: 0.0, **settings)  # type: ignore[arg-type]
    index.enter(GEN, 0)
    return index


def entry(born: Born, **fields: object) -> Entry:
    given: dict[str, object] = {
        "key": "K",
        "path": "/a/b/c",
        "route": "R",
        "name": "N",
        "tags": ("t1", "t2"),
        **fields,
    }
    return Entry(
        payload=b"",
        born=born,
        created=0.0,
        fresh_until=1.0,
        keep_until=1.0,
        filled_at=0.0,
        **given,  # type: ignore[arg-type]
    )


def value(born: Born, key: str = "user:1:name") -> Entry:
    return entry(born, key=key, path="", route="", name="", tags=())


SELECTED = [
    pytest.param(Selector("key", "K"), True, id="key: the full key"),
    pytest.param(Selector("key", "N"), True, id="key: the name"),
    pytest.param(Selector("key", "k"), False, id="key: another"),
    pytest.param(Selector("tag", "t2"), True, id="tag: one of several"),
    pytest.param(Selector("tag", "t3"), False, id="tag: another"),
    pytest.param(Selector("route", "R"), True, id="route: the same"),
    pytest.param(Selector("route", "/a/b/c"), False, id="route: not a path"),
    pytest.param(Selector("path", "/a/b/c"), True, id="path: the same"),
    pytest.param(Selector("path", "/a/b"), False, id="path: not what is above"),
    pytest.param(Selector("prefix", "/a/b/c"), True, id="prefix: itself"),
    pytest.param(Selector("prefix", "/a/b/c/"), True, id="prefix: last slash does not matter"),
    pytest.param(Selector("prefix", "/a"), True, id="prefix: what is below"),
    pytest.param(Selector("prefix", "/"), True, id="prefix: the root"),
    pytest.param(Selector("prefix", "/a/b/cc"), False, id="prefix: not a longer name"),
    pytest.param(Selector("prefix", "/a/b/"[:-2]), False, id="prefix: whole segments only"),
    pytest.param(Selector("glob", "/a/*"), True, id="glob: the path"),
    pytest.param(Selector("glob", "*/c"), True, id="glob: star crosses slashes"),
    pytest.param(Selector("glob", "/a/?/c"), True, id="glob: one character"),
    pytest.param(Selector("glob", "?"), True, id="glob: the name"),
    pytest.param(Selector("glob", "/b*"), False, id="glob: another"),
    pytest.param(Selector("all", ""), True, id="all"),
]


@pytest.mark.parametrize(("selector", "selected"), SELECTED)
def test_a_record_invalidates_what_it_selects_and_was_born_before(
    selector: Selector, selected: bool
) -> None:
    """Born at 0, before record 1; born at 1, after it; as own fill and from a shared tier."""
    if selector.text == "/a/":
        selector = Selector("prefix", "/a/b/x")
    index = make()
    index.apply(1, [selector])

    for fence in (-1, 0):
        assert index.permits(entry(Born(GEN, 0, fence))) is not selected
        assert index.permits(entry(Born(GEN, 1, fence)))


@pytest.mark.parametrize(("selector", "selected"), SELECTED)
def test_an_own_invalidation_holds_at_once(selector: Selector, selected: bool) -> None:
    """Before the log knows: fills begun before are out, fills begun after are in, others' wait."""
    if selector.text == "/a/":
        selector = Selector("prefix", "/a/b/x")
    index = make()
    before = index.born()
    index.begin([selector])
    after = index.born()

    assert index.permits(entry(before)) is not selected
    assert index.permits(entry(after))
    assert index.permits(entry(Born(GEN, 0))) is not selected
    assert index.permits(entry(Born(GEN, 99))) is not selected, "a tombstone: nobody can tell"


def test_an_own_fill_begun_after_stays_valid_when_the_record_comes_back() -> None:
    """No needless second miss: the fence decides for own fills, the number for others'."""
    index = make()
    fence = index.begin([Selector("tag", "t1")])
    own = index.born()
    index.apply(1, [Selector("tag", "t1")], own_fence=fence)

    assert index.permits(entry(own))
    assert not index.permits(entry(Born(GEN, 0)))
    assert index.permits(entry(Born(GEN, 1)))
    assert index.pending_count == 0


def test_a_later_own_invalidation_stays_pending_when_an_earlier_one_comes_back() -> None:
    """The record acknowledges what was begun up to its fence and no more."""
    index = make()
    first = index.begin([Selector("tag", "t1")])
    index.begin([Selector("tag", "t1")])
    index.apply(1, [Selector("tag", "t1")], own_fence=first)

    assert list(index.pending()) == [Selector("tag", "t1")]
    assert not index.permits(entry(Born(GEN, 1)))


def test_a_value_is_selected_by_its_key_and_globs_over_it() -> None:
    """Values have no path: globs look at the key."""
    index = make()
    index.apply(1, [Selector("glob", "user:*:name")])

    assert not index.permits(value(Born(GEN, 0)))
    assert index.permits(value(Born(GEN, 0), key="user:1:mail"))


def test_positions_of_two_generations_are_not_compared() -> None:
    """However high its number, an entry of another generation is invalid."""
    index = make()

    assert not index.permits(entry(Born("other", 10**9)))


def test_entering_a_position_forgets_all_before_it() -> None:
    """What was born before is invalid, what is born there is valid, own pending marks stay."""
    index = make()
    index.apply(1, [Selector("tag", "t1")])
    index.begin([Selector("tag", "t2"), Selector("glob", "zz*")])
    index.enter(GEN, 10)

    assert not index.permits(entry(Born(GEN, 9), tags=()))
    assert index.permits(entry(Born(GEN, 10), tags=("t1",)))
    assert not index.permits(entry(Born(GEN, 10), tags=("t2",)))
    assert set(index.pending()) == {Selector("tag", "t2"), Selector("glob", "zz*")}


def test_the_view_rises_with_everything_that_invalidates() -> None:
    """All that invalidates raises it, and an emptied tier; asking and trusting do not."""
    index = make()
    views = [index.view]
    for change in (
        lambda: index.begin([ALL]),
        lambda: index.apply(1, [ALL]),
        lambda: index.enter(GEN, 5),
        lambda: index.hold([ALL]),
        lambda: index.release([ALL]),
        index.look_again,
        index.distrust,
    ):
        change()
        views.append(index.view)

    assert views == sorted(set(views))

    index.distrust()
    index.trust()
    index.permits(entry(index.born()))

    assert index.view == views[-1]


def test_untrusted_entries_are_used_for_five_seconds_and_not_noted() -> None:
    """While untrusted the age since filling decides as well, and nothing is promoted."""
    now = [0.0]
    index = Index(clock=lambda: now[0])
    index.enter(GEN, 0)
    index.distrust()
    kept = entry(index.born())
    now[0] = 5.0

    assert not index.settled
    assert index.permits(kept)
    assert not index.permits_shared(kept)

    now[0] = 5.001

    assert not index.permits(kept)

    index.trust()

    assert index.settled
    assert index.permits(kept)
    assert index.permits_shared(kept)


@pytest.mark.parametrize("gen", ["another", ""])
def test_what_was_born_in_another_history_is_not_promoted(gen: str) -> None:
    """Its numbers say nothing here."""
    index = make()

    assert index.permits_shared(entry(Born(GEN, 0)))
    assert not index.permits_shared(entry(Born(gen, 0)))


def test_what_was_born_ahead_is_not_promoted_until_this_process_is_there() -> None:
    """No record could refuse it before."""
    index = make()
    ahead = entry(Born(GEN, 1))
    assert not index.permits_shared(ahead)
    index.apply(1, [Selector("tag", "another")])

    assert index.permits_shared(ahead)


def test_a_hold_refuses_whatever_was_born_until_it_ends() -> None:
    """Settling: nothing selected is used; what was begun during it stays refused."""
    index = make()
    during = index.born()
    index.hold([Selector("path", "/a/b/c")])

    assert not index.permits(entry(Born(GEN, 99)))
    assert not index.permits(entry(index.born()))

    index.enter(GEN, 0)

    assert not index.permits(entry(index.born())), "a hold survives a new position"

    index.release([Selector("path", "/a/b/c"), Selector("tag", "unknown")])

    assert not index.permits(entry(during))
    assert index.permits(entry(index.born()))
    assert index.permits(entry(Born(GEN, 99)))


def test_a_forgotten_selector_raises_the_floor() -> None:
    """Beyond its cap the index forgets the oldest, and what was born before that is invalid."""
    index = make(max_selectors=3)
    for seq in range(1, 5):
        index.apply(seq, [Selector("tag", f"x{seq}")])

    assert len(index) == 3
    assert index.floor == 1
    assert not index.permits(entry(Born(GEN, 0)))
    assert index.permits(entry(Born(GEN, 1)))


def test_a_forgotten_hold_still_refuses_own_fills_begun_during_it() -> None:
    """Forgetting raises the floor of fences as well."""
    index = make(max_selectors=1)
    index.hold([Selector("tag", "t1")])
    index.seq = 5
    during = index.born()
    index.release([Selector("tag", "t1")])
    index.apply(6, [Selector("tag", "other")])

    assert not index.permits(entry(during))


def test_pending_selectors_are_never_forgotten() -> None:
    """The oldest goes that may go; where none may, the table grows."""
    index = make(max_selectors=2)
    index.begin([Selector("tag", "p1"), Selector("tag", "p2")])
    index.apply(1, [Selector("tag", "x")])
    index.apply(2, [Selector("tag", "y")])

    assert index.pending_count == 2
    assert len(index) == 3
    assert index.floor == 1
    assert not index.permits(entry(Born(GEN, 5), tags=("p1",)))


def test_a_glob_too_many_becomes_its_beginning() -> None:
    """The oldest glob is shortened to its last `/` or `:`: it selects more, and never less."""
    index = make(max_globs=2)
    for seq, pattern in enumerate(("/a/b*c", "user:1:*e", "*x", "*y"), 1):
        index.apply(seq, [Selector("glob", pattern)])

    assert index.floor == 0
    assert not index.permits(entry(Born(GEN, 0), path="/a/zzz"))
    assert index.permits(entry(Born(GEN, 1), path="/a/zzz"))
    assert not index.permits(value(Born(GEN, 1), key="user:1:mail"))
    assert index.permits(value(Born(GEN, 1), key="user:2:mail"))


@pytest.mark.parametrize(
    ("globs", "selected"),
    [
        pytest.param(["user:1:*e", "*x", "*y"], "user:1:mail", id="shortened"),
        pytest.param(["*:sku-17:*", "*:sku-18:*", "*z"], "a:sku-17:b", id="united"),
    ],
)
@pytest.mark.parametrize("own_fill", [True, False], ids=["filled here", "filled elsewhere"])
def test_what_replaces_a_glob_of_this_process_covers_what_that_did(
    globs: list[str], selected: str, own_fill: bool
) -> None:
    """What was filled before is known by its fence if it was here, and else by its number."""
    index = make(max_globs=2)
    before = index.born() if own_fill else Born(GEN, 0)
    for seq, pattern in enumerate(globs, start=1):
        fence = index.begin([Selector("glob", pattern)])
        index.apply(seq, [Selector("glob", pattern)], own_fence=fence)

    assert index.floor == 0
    assert not index.permits(value(before, selected))
    assert index.permits(value(index.born(), selected))
    assert index.permits(value(before, "a:other:b"))


def test_a_glob_counts_however_late_it_comes() -> None:
    """Also after others have been looked at."""
    index = make()
    index.apply(1, [Selector("glob", "/x/*")])
    before = index.born()
    assert index.permits(entry(before))
    index.apply(2, [Selector("glob", "/a/*")])

    assert not index.permits(entry(before))


def test_a_glob_too_many_without_beginning_raises_the_floor() -> None:
    """`*x` could select anything: what was born before it is invalid."""
    index = make(max_globs=1)
    index.apply(1, [Selector("glob", "*x")])
    index.apply(2, [Selector("glob", "*y")])

    assert index.floor == 1


def test_pending_globs_over_the_cap_make_the_index_crowded() -> None:
    """They cannot be shortened, and would slow every look-up."""
    index = make(max_globs=1)
    index.begin([Selector("glob", "*x")])
    assert not index.crowded

    index.begin([Selector("glob", "*y")])

    assert index.crowded


def test_collapsing_replaces_all_pending_by_everything() -> None:
    """Nothing born before is used, and one selector waits for the log."""
    index = make()
    index.begin([Selector("tag", "t1"), Selector("tag", "t9")])
    index.collapse()

    assert list(index.pending()) == [ALL]
    assert not index.permits(entry(Born(GEN, 99)))
    assert index.permits(entry(index.born()))


def test_a_deep_prefix_is_shortened_and_still_selects() -> None:
    """Depth is bounded by selecting more."""
    deep = "/x" * (MAX_DEPTH + 20)
    index = make()
    index.apply(1, [Selector("prefix", deep)])

    assert not index.permits(entry(Born(GEN, 0), path=deep + "/y"))
    assert canonical(Selector("prefix", deep)).text.count("/") == MAX_DEPTH
    assert index.permits(entry(Born(GEN, 0), path="/x" * (MAX_DEPTH - 2)))


@pytest.mark.no_cover  # it repeats what others cover
def test_look_ups_with_a_hundred_thousand_tags(figure: Figure) -> None:
    """With every table full a look-up finds nothing and forgets nothing; its time is a figure."""
    index = make()
    for seq in range(1, 100_001):
        index.apply(seq, [Selector("tag", f"tag-{seq}")])
    for seq in range(256):
        index.apply(100_001 + seq, [Selector("glob", f"/other/{seq}/*")])
    asked = entry(Born(GEN, 300), tags=tuple(f"none-{i}" for i in range(8)))
    times = []
    for _ in range(2_000):
        start = time.perf_counter()
        assert index.permits(asked)
        times.append(time.perf_counter() - start)
    times.sort()

    assert len(index) == 100_256
    p99 = times[int(len(times) * 0.99)] * 1e6
    figure("index, look-up with 100,000 tags and 256 globs", f"p99 {p99:.0f} us", "p99 50 us")


def test_it_tells_its_state() -> None:
    """The repr says what matters."""
    index = make()
    index.begin([ALL])
    index.distrust()

    assert repr(index) == "<Index g:0 floor 0, 1 selectors, 1 pending, untrusted>"
    assert index.is_pending(ALL)
    assert index.begun(ALL) == 1
    assert index.begun(Selector("tag", "x")) == 0


def test_globs_too_many_are_united_with_the_one_most_like_them() -> None:
    """Without a beginning of their own: what they have in common is dropped, not everything."""
    index = make(max_globs=3)
    for seq, pattern in enumerate(("*:sku-17:*", "*:user-1:*", "*:sku-18:*", "*z"), 1):
        index.apply(seq, [Selector("glob", pattern)])

    assert (index.floor, index.forgotten) == (0, 0)
    assert not index.permits(value(Born(GEN, 0), key="a:sku-17:b"))
    assert not index.permits(value(Born(GEN, 2), key="a:sku-18:b"))
    assert index.permits(value(Born(GEN, 0), key="a:other-1:b"))
    assert index.permits(value(Born(GEN, 3), key="a:sku-17:b"))


def test_pending_globs_over_the_cap_are_united_and_wait_as_one() -> None:
    """What was begun stays in force, and what is to be sent covers it."""
    index = make(max_globs=3)
    names = [f"*:{number}:*" for number in range(10, 14)]
    index.begin([Selector("glob", name) for name in names])
    assert index.crowded
    replaced = index.unite_globs()

    assert not index.crowded
    assert set(index.pending()) == set(replaced.values())
    for number in range(10, 14):
        assert not index.permits(value(Born(GEN, 99), key=f"a:{number}:b"))
    assert index.permits(value(Born(GEN, 99), key="a:20:b"))


def test_a_glob_that_is_held_is_not_united_with_others() -> None:
    """What it selects is refused until its time to settle is over, wherever it was born."""
    index = make(max_globs=3)
    globs = [Selector("glob", f"*:{number}:*") for number in range(10, 14)]
    index.begin(globs)
    index.hold(globs[:1])
    index.unite_globs()
    index.acknowledge(list(index.pending()), index.fence)
    assert not index.permits(value(index.born(), key="a:10:b"))
    index.release(globs[:1])

    assert index.permits(value(index.born(), key="a:10:b"))


def test_a_long_text_is_compared_by_its_beginning_and_a_digest() -> None:
    """Keys, tags, paths and prefixes: each selects its own and no other that begins like it."""
    long = "/" + "a" * 5_000
    index = make()
    for seq, selector in enumerate(
        (
            Selector("path", long + "b"),
            Selector("tag", long + "b"),
            Selector("key", long + "b"),
            Selector("prefix", long + "b"),
        ),
        1,
    ):
        kept = canonical(selector)
        assert len(kept.text) <= 128
        assert canonical(kept) == kept
        index.apply(seq, [selector])

    for end, refused in (("b", True), ("c", False)):
        assert index.permits(entry(Born(GEN, 0), path=long + end)) is not refused
        assert index.permits(entry(Born(GEN, 0), path=long + end + "/x")) is not refused
        assert index.permits(entry(Born(GEN, 0), tags=(long + end,))) is not refused
        assert index.permits(value(Born(GEN, 0), key=long + end)) is not refused


def test_the_index_is_bounded_by_bytes() -> None:
    """However long and however many: the oldest are forgotten, on the safe side, and counted."""
    index = make(max_bytes=100_000)
    tracemalloc.start()
    for seq in range(1, 3_001):
        index.apply(seq, [Selector("path", f"/{seq}" + "\U0001f600" * 2_000)])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 2 * 100_000
    assert index.forgotten > 0
    assert index.floor == index.forgotten
    assert index.permits(entry(Born(GEN, 2_999), path="/other"))
