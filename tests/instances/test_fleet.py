"""What the beats of all instances show together."""

from typing import Any

import pytest

from asgi_multitier.entry import Born
from asgi_multitier.instances.beat import Beat, Heard
from asgi_multitier.instances.findings import BEHIND, CLOCK
from asgi_multitier.instances.fleet import Fleet, fleet_of
from asgi_multitier.instances.instance import ENDED, GONE, SILENT
from asgi_multitier.instances.seen import seen_of

NOW = 1000.0


def told(age: float, node: str = "a", **fields: Any) -> Heard:
    """A beat of so many seconds ago."""
    fields = {"host": node, "pid": 1, "gen": "g", "version": "1"} | fields
    return Heard(NOW - age, Beat(node=node, **fields))


def picture(*heard: Heard, own: str = "") -> Fleet:
    """The picture that beats give, in the order in which they were told."""
    ordered = sorted(heard, key=lambda one: one.at)
    return fleet_of(ordered, namespace="shop", source="redis", now=NOW, own=own, complete=True)


STATES = (
    ("just now", (told(0),), "up"),
    ("three beats ago", (told(SILENT),), "up"),
    ("more than three beats ago", (told(SILENT + 0.1),), "silent"),
    ("closed", (told(9), told(1, closing=True)), "closed"),
    ("closed long ago", (told(59, closing=True),), "closed"),
    ("silent for long", (told(GONE),), "silent"),
    ("switched off", (told(40), told(30, mode="off")), "off"),
    ("switched on again", (told(30, mode="off"), told(1)), "up"),
)


@pytest.mark.parametrize(
    ("heard", "state"), [row[1:] for row in STATES], ids=[r[0] for r in STATES]
)
def test_the_state_of_an_instance(heard: tuple[Heard, ...], state: str) -> None:
    """What it told last, and how long ago."""
    [instance] = picture(*heard).instances

    assert instance.state == state


GONE_ONES = (
    ("silent", told(GONE + 0.1)),
    ("closed", told(ENDED + 0.1, closing=True)),
    ("switched off", told(ENDED + 0.1, mode="off")),
)


@pytest.mark.parametrize("heard", [row[1] for row in GONE_ONES], ids=[row[0] for row in GONE_ONES])
def test_an_instance_is_forgotten(heard: Heard) -> None:
    """It is neither listed nor a finding."""
    found = picture(heard, told(1, "b"))

    assert [one.beat.node for one in found.instances] == ["b"]
    assert found.findings == ()


def of(host: str, age: float, node: str, **fields: Any) -> Heard:
    """A beat of a process of a host."""
    return told(age, node, **{"host": host, "application": "shop"} | fields)


def lived(node: str, first: float, last: float, host: str = "web", **fields: Any) -> list[Heard]:
    """The beats of a process that started so many seconds ago, up to so many seconds ago."""
    return [
        of(host, age, node, uptime=first - age + 0.1, **fields)
        for age in (first, (first + last) / 2, last)
    ]


REPLACED: tuple[tuple[str, list[list[Heard]], dict[str, str]], ...] = (
    (
        "killed, and another started",
        [lived("a", 300, 60), lived("b", 55, 1)],
        {"a": "replaced", "b": "up"},
    ),
    ("hangs", [lived("a", 300, 60), lived("b", 300, 1)], {"a": "silent", "b": "up"}),
    ("not silent yet", [lived("a", 300, 10), lived("b", 9, 1)], {"a": "up", "b": "up"}),
    (
        "another host",
        [lived("a", 300, 60), lived("b", 55, 1, "db")],
        {"a": "silent", "b": "up"},
    ),
    (
        "another application",
        [lived("a", 300, 60), lived("b", 55, 1, application="x")],
        {"a": "silent", "b": "up"},
    ),
    (
        "started before its last beat",
        [lived("a", 300, 60), lived("b", 61, 1)],
        {"a": "silent", "b": "up"},
    ),
    (
        # What is read may begin after beats of a process that has run for long.
        "whose first beats are not known",
        [lived("a", 300, 60), [of("web", 55, "b", uptime=500.0), of("web", 1, "b", uptime=554.0)]],
        {"a": "silent", "b": "up"},
    ),
    (
        "of a release that does not tell how long it runs",
        [[of("web", 60, "a")], [of("web", 55, "b"), of("web", 1, "b")]],
        {"a": "replaced", "b": "up"},
    ),
    (
        "closed since",
        [lived("a", 300, 60), lived("b", 55, 40), [of("web", 39, "b", closing=True)]],
        {"a": "silent", "b": "closed"},
    ),
    (
        "one killed and one that hangs",
        [lived("a", 300, 60), lived("b", 300, 57), lived("c", 55, 1)],
        {"a": "silent", "b": "replaced", "c": "up"},
    ),
    (
        "two killed, two started",
        [lived("a", 300, 60), lived("b", 300, 57), lived("c", 55, 1), lived("d", 54, 2)],
        {"a": "replaced", "b": "replaced", "c": "up", "d": "up"},
    ),
    (
        "killed again and again",
        [lived("a", 300, 90), lived("b", 85, 60), lived("c", 55, 1)],
        {"a": "replaced", "b": "replaced", "c": "up"},
    ),
    (
        "and then no more",
        [lived("a", 300, 90), lived("b", 85, 60)],
        {"a": "replaced", "b": "silent"},
    ),
)


@pytest.mark.parametrize(
    ("lives", "states"), [row[1:] for row in REPLACED], ids=[row[0] for row in REPLACED]
)
def test_a_process_that_was_replaced(lives: list[list[Heard]], states: dict[str, str]) -> None:
    """One that started on its host since stands for one that is silent, and for one only."""
    found = picture(*(heard for life in lives for heard in life))
    seen = seen_of(Born("g", 0), found.up, 0.5)

    assert {one.beat.node: one.state for one in found.instances} == states
    kinds = {one.kind: set(one.nodes) for one in found.findings if one.kind != "collision"}
    assert kinds == {
        kind: {node for node, state in states.items() if state == kind}
        for kind in {"silent", "replaced"} & set(states.values())
    }
    assert (seen.by, seen.of) == (len(found.up), list(states.values()).count("up"))


def standing(node: str, *uptimes: float) -> list[tuple[float, Heard]]:
    """Beats of a process while the clock of the store stands still, each with its real moment."""
    return [(uptime, told(-1000, node, uptime=uptime)) for uptime in uptimes]


STANDING = (
    ("both tell", [standing("a", 1, 6, 11, 16, 21), standing("b", 2, 7, 12, 17, 22)], "up"),
    ("one tells no more", [standing("a", 1, 6), standing("b", 2, 7, 12, 17, 23)], "silent"),
    ("for a short time", [standing("a", 1, 6), standing("b", 2, 7, 12, 17, 22)], "up"),
)


@pytest.mark.parametrize(
    ("beats", "state"), [row[1:] for row in STANDING], ids=[row[0] for row in STANDING]
)
def test_a_clock_that_was_set_back(beats: list[list[tuple[float, Heard]]], state: str) -> None:
    """The store's times stand still: what others have run since tells how long one is silent."""
    heard = [
        one for _, one in sorted((pair for life in beats for pair in life), key=lambda p: p[0])
    ]
    found = fleet_of(
        heard, namespace="shop", source="redis", now=heard[-1].at, own="", complete=True
    )

    assert {one.beat.node: one.state for one in found.instances} == {"a": state, "b": "up"}


def test_nothing_shown_is_negative() -> None:
    """Counters are not read at one moment, and a clock may be behind that of the store."""
    [instance] = picture(told(-2, requests=5, hits=4, misses=2)).instances

    assert (instance.age, instance.as_json()["passes"]) == (0, 0)


BEHINDS = (
    ("alone", (told(1, seq=5),), {"a": 0}),
    ("as far as the others", (told(2, "b", seq=5), told(1, seq=5)), {"a": 0, "b": 0}),
    # What others applied after its beat says nothing of it.
    ("told earlier", (told(3, seq=5), told(1, "b", seq=9)), {"a": 0, "b": 0}),
    ("told later", (told(3, "b", seq=9), told(1, seq=5)), {"a": 4, "b": 0}),
    ("of another generation", (told(3, "b", seq=9, gen="h"), told(1, seq=5)), {"a": 0, "b": 0}),
    ("of no generation", (told(3, "b", seq=9), told(1, gen="", seq=0)), {"a": 0, "b": 0}),
    ("went back", (told(3, seq=9), told(1, seq=5)), {"a": 4}),
)


@pytest.mark.parametrize(
    ("heard", "behind"), [row[1:] for row in BEHINDS], ids=[row[0] for row in BEHINDS]
)
def test_how_far_an_instance_is_behind(heard: tuple[Heard, ...], behind: dict[str, int]) -> None:
    """What others had told before its own beat counts, and nothing else."""
    found = picture(*heard)

    assert {one.beat.node: one.behind for one in found.instances} == behind


RATES = (
    ("one beat", (told(0, requests=9),), None),
    ("two", (told(5, requests=10), told(0, requests=60)), 10.0),
    ("the last two", (told(9, requests=0), told(5, requests=10), told(0, requests=60)), 10.0),
    ("too close", (told(4.5, requests=10), told(0.5, requests=50), told(0, requests=55)), 10.0),
    ("began again", (told(5, requests=10), told(0, requests=3)), None),
)


@pytest.mark.parametrize(
    ("heard", "rate"), [row[1:] for row in RATES], ids=[row[0] for row in RATES]
)
def test_requests_a_second(heard: tuple[Heard, ...], rate: float | None) -> None:
    """Between the last two beats that are a second apart."""
    [instance] = picture(*heard).instances

    assert instance.rate == rate


FINDINGS = (
    ("nothing", (told(1), told(1, "b")), set()),
    ("two releases", (told(1, release="1"), told(1, "b", release="2")), {"releases"}),
    ("a release without a name", (told(1, release="1"), told(1, "b")), {"releases"}),
    ("the other has ended", (told(1, release="1"), told(1, "b", release="2", closing=True)), set()),
    ("two versions", (told(1), told(1, "b", version="2")), {"versions"}),
    ("two generations", (told(1), told(1, "b", gen="h")), {"generations"}),
    ("one is not trusted", (told(1), told(1, "b", gen="h", trusted=False)), {"untrusted"}),
    ("one has none yet", (told(1), told(1, "b", gen="")), set()),
    ("two applications", (told(1, application="x"), told(1, "b", application="y")), {"collision"}),
    ("one of no application", (told(1, application="x"), told(1, "b")), set()),
    ("one is silent", (told(1), told(20, "b")), {"silent"}),
    ("queued", (told(1, queued=1),), {"queued"}),
    ("behind", (told(2, "b", seq=BEHIND + 2), told(1, seq=1)), {"behind"}),
    ("not far behind", (told(2, "b", seq=BEHIND + 1), told(1, seq=1)), set()),
    ("a clock", (told(1, clock_offset=-CLOCK - 0.1),), {"clock"}),
    ("a small difference", (told(1, clock_offset=CLOCK),), set()),
    ("a breaker", (told(1, breakers={"redis": "open"}),), {"breaker"}),
    ("a breaker that tries", (told(1, breakers={"redis": "half-open"}),), set()),
    ("unreadable", (told(1), Heard(NOW - 1, None)), {"secret"}),
    ("unreadable long ago", (told(1), Heard(NOW - SILENT - 1, None)), set()),
)


@pytest.mark.parametrize(
    ("heard", "kinds"), [row[1:] for row in FINDINGS], ids=[row[0] for row in FINDINGS]
)
def test_what_a_person_should_look_at(heard: tuple[Heard, ...], kinds: set[str]) -> None:
    """Each finding by its cause, and none without."""
    assert {one.kind for one in picture(*heard).findings} == kinds


def test_a_finding_names_a_few() -> None:
    """And all of them for programs."""
    [finding] = picture(*(told(20, f"web-{n}") for n in range(7))).findings

    assert finding.text.startswith("web-0/1, web-1/1, web-2/1, web-3/1, web-4/1 and 2 more told")
    assert len(finding.nodes) == 7


def test_most_come_first() -> None:
    """Of equally many, by name."""
    releases = ["2", "3", "3", "1"]
    heard = (told(1, f"web-{n}", release=release) for n, release in enumerate(releases))
    [finding] = picture(*heard).findings

    assert "(3: 2, 1: 1, 2: 1)" in finding.text


def test_each_beat_that_cannot_be_read_counts() -> None:
    """A single one may be a stranger's."""
    [finding] = picture(told(1), Heard(NOW - 2, None), Heard(NOW - 1, None)).findings

    assert finding.text.startswith("2 beats cannot be read")


def test_what_one_calls_itself_cannot_break_a_sentence() -> None:
    """Braces are text."""
    [finding] = picture(told(1, release="{0}"), told(1, "b", release="{names}")).findings

    assert "({0}: 1, {names}: 1)" in finding.text


def test_as_json() -> None:
    """All of it, in types that JSON has."""
    found = picture(told(3, "b", seq=7, requests=4, hits=3, misses=1), told(1, seq=5), own="a")
    shown = found.as_json()

    assert shown["position"] == {"gen": "g", "seq": 7}
    assert [(one["node"], one["self"], one["behind"]) for one in shown["instances"]] == [
        ("a", True, 2),
        ("b", False, 0),
    ]
    assert shown["instances"][1] | {"ratio": 0.75, "passes": 0, "age": 3.0} == shown["instances"][1]


def test_no_instance_is_there() -> None:
    """No position either."""
    assert picture().as_json() | {"instances": [], "position": {"gen": "", "seq": 0}} == (
        picture().as_json()
    )


SEEN = (
    ("all", (told(1, seq=5), told(1, "b", seq=6)), Born("g", 5), (2, 2)),
    ("one not yet", (told(1, seq=4), told(1, "b", seq=6)), Born("g", 5), (1, 2)),
    ("another generation", (told(1, seq=9, gen="h"), told(1, "b", seq=6)), Born("g", 5), (1, 2)),
    ("one has ended", (told(1, closing=True), told(1, "b", seq=6)), Born("g", 5), (1, 1)),
    ("not known", (told(1, gen="", seq=0),), Born("", 0), (0, 1)),
)


@pytest.mark.parametrize(
    ("heard", "position", "counts"), [row[1:] for row in SEEN], ids=[row[0] for row in SEEN]
)
def test_who_has_read_the_log(
    heard: tuple[Heard, ...], position: Born, counts: tuple[int, int]
) -> None:
    """Of those that run."""
    seen = seen_of(position, picture(*heard).up, 0.5)

    assert (seen.by, seen.of) == counts
    assert seen.by_all is (counts[0] == counts[1])
    assert sum(one["seen"] for one in seen.as_json()["instances"]) == seen.by
