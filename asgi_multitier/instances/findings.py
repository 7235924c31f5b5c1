"""What of all instances a person should look at. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .instance import SILENT, Instance

CLOCK = 1.0
"""Seconds that a clock may differ from that of the store."""

BEHIND = 1_000
"""Records that an instance may be behind."""

_NAMED = 5
"""Instances that a sentence names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should look at.

    Attributes:
        kind: One word: `"releases"`, `"versions"`, `"generations"`, `"collision"`, `"silent"`,
            `"replaced"`, `"clock"`, `"behind"`, `"untrusted"`, `"queued"`, `"secret"`, `"breaker"`.
        text: What it is, and what to do.
        nodes: The instances that it is about.
    """

    kind: str
    text: str
    nodes: tuple[str, ...] = ()


class _Check(NamedTuple):
    """What may be wrong with single instances.

    Attributes:
        kind: See `Finding`.
        applies: Whether it is.
        text: What it is, and what to do; `{names}` are the instances.
    """

    kind: str
    applies: Callable[[Instance], bool]
    text: str


_OF_ONE = (
    _Check(
        "untrusted",
        lambda one: one.state == "up" and not one.beat.trusted,
        "{names} cannot follow the log, and their memory counts as stale after some seconds: see "
        "their log lines, and whether they reach the server",
    ),
    _Check(
        "queued",
        lambda one: one.state == "up" and one.beat.queued > 0,
        "{names} cannot write invalidations to the log, so others may serve what was changed: "
        "check the server's memory, permissions, and whether it is a replica",
    ),
    _Check(
        "behind",
        lambda one: one.state == "up" and one.behind > BEHIND,
        f"{{names}} are more than {BEHIND:,} records behind: look for a blocked event loop or a "
        "process without CPU time",
    ),
    _Check(
        "clock",
        lambda one: one.state == "up" and abs(one.beat.clock_offset or 0.0) > CLOCK,
        "{names} have clocks that differ from the server's by more than a second, so that their "
        "entries live shorter elsewhere: use NTP",
    ),
    _Check(
        "breaker",
        lambda one: one.state == "up" and "open" in one.beat.breakers.values(),
        "{names} leave out a shared tier since it failed: see their log lines",
    ),
    _Check(
        "silent",
        lambda one: one.state == "silent",
        f"{{names}} told nothing for more than {SILENT:g} s and did not close: look whether the "
        "process runs, and reaches the server of the log",
    ),
    _Check(
        "replaced",
        lambda one: one.state == "replaced",
        "{names} ended without closing, and other processes took their place: they were killed, so "
        "look for a lack of memory or a timeout of what supervises them",
    ),
)


class _Same(NamedTuple):
    """What should be the same in all instances.

    Attributes:
        kind: See `Finding`.
        value: What it is in one; "" if that one has no say.
        text: What it means if it differs, and what to do; `{count}` values, `{values}`.
    """

    kind: str
    value: Callable[[Instance], str]
    text: str


_OF_ALL = (
    _Same(
        "releases",
        lambda one: one.beat.release or "unnamed",
        "{count} releases run ({values}): version= keeps their entries apart, so each fills its "
        "own; finish the rollout",
    ),
    _Same(
        "versions",
        lambda one: one.beat.version,
        "{count} versions of asgi-multitier run ({values}): finish the rollout",
    ),
    _Same(
        "generations",
        lambda one: one.beat.gen if one.beat.trusted else "",
        "{count} generations of the log are followed at once, so instances do not get each other's "
        "invalidations: if this stays for 10 s, they reach different servers; compare REDIS_URL, "
        "and look for two masters",
    ),
    _Same(
        "collision",
        lambda one: one.beat.application,
        "{count} applications share this namespace ({values}), so what one invalidates is dropped "
        "in the other: set another namespace= in one of them unless that is meant",
    ),
)


def findings_of(instances: Sequence[Instance], unreadable: int) -> Iterator[Finding]:
    """What a person should look at.

    Args:
        instances: Those that are known.
        unreadable: How many beats could not be read lately.
    """
    up = [one for one in instances if one.state == "up"]
    for same in _OF_ALL:
        counts = _counted(same.value(one) for one in up)
        if len(counts) > 1:
            text = same.text.format(count=len(counts), values=_listed(counts))
            yield Finding(same.kind, text, _nodes(up))
    for check in _OF_ONE:
        found = [one for one in instances if check.applies(one)]
        if found:
            yield Finding(check.kind, check.text.replace("{names}", _names(found)), _nodes(found))
    if unreadable:
        yield Finding(
            "secret",
            f"{unreadable} beats cannot be read: set the same ASGI_MULTITIER_SECRET in all "
            "instances, and look who else writes to this namespace",
        )


def _counted(values: Iterable[str]) -> Mapping[str, int]:
    """How many have each value, most first."""
    counts: dict[str, int] = {}
    for value in values:
        if value:
            counts[value] = counts.get(value, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{value}: {count}" for value, count in list(counts.items())[:_NAMED])


def _names(instances: Sequence[Instance]) -> str:
    named = ", ".join(one.name for one in instances[:_NAMED])
    more = len(instances) - _NAMED
    return f"{named} and {more} more" if more > 0 else named


def _nodes(instances: Sequence[Instance]) -> tuple[str, ...]:
    return tuple(one.beat.node for one in instances)
