"""What is odd about an application's routes, by its annotations and rules alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..config.policy import Policy
from ..config.templates import Template
from ..routing.routes import Leaf
from .effects import Change, Target, named, named_by
from .explanation import Effect
from .findings import Finding
from .similar import closest

LONG: Final = 600.0
"""Seconds of a lifetime from which something should drop what is cached."""

VERY_LONG: Final = 3_600.0
"""Seconds of a lifetime from which many entries expire at once, unless something spreads them."""

_MANY_VALUES: Final = frozenset(
    b"user-agent cookie referer x-request-id x-forwarded-for traceparent from".split()
)
"""Request fields with about as many values as there are clients or requests."""


@dataclass(frozen=True, slots=True)
class Route:
    """What is known of a route.

    Attributes:
        leaf: The route.
        policy: How its responses are cached; None if they are not.
        reason: Why it is that policy.
        target: What selects its responses; None if none is cached.
        change: What its changes name; None if it changes nothing.
        dropped_by: Which routes drop its responses.
    """

    leaf: Leaf
    policy: Policy | None
    reason: str
    target: Target | None
    change: Change | None
    dropped_by: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class _Application:
    """What is known of all routes together.

    Attributes:
        coded: Whether a callable gives tags, so that any may be carried.
        changes: Whether any route changes something.
        met: What drops something, by the route that names it.
        first: A cached route, by the first segment of its path.
        carried: What cached routes have, by the kind of what may name it, as it is shown.
    """

    coded: bool
    changes: bool
    met: Mapping[str, set[tuple[str, str]]]
    first: Mapping[str, str]
    carried: Mapping[str, list[str]]


def lint(routes: Sequence[Route]) -> Iterator[Finding]:
    """Everything that is odd about the routes, less what their `lint_ignore` names."""
    whole = _whole(routes)
    for route in routes:
        ignored = _ignored(route)
        yield from (one for one in _of(route, whole) if one.code not in ignored)


def _whole(routes: Sequence[Route]) -> _Application:
    cached = [route for route in routes if route.target is not None]
    met: dict[str, set[tuple[str, str]]] = {}
    for route in cached:
        for effect in route.dropped_by:
            met.setdefault(effect.by, set()).add((effect.kind, effect.text))
    first: dict[str, str] = {}
    for route in cached:
        if (segment := _first_segment(route.leaf.path)) is not None:
            first.setdefault(segment, route.leaf.template)
    targets = [route.target for route in cached if route.target is not None]
    tags = dict.fromkeys(one.shown for target in targets for one in target.tags)
    paths = dict.fromkeys(target.shown for target in targets)
    carried = {"tag": list(tags), "path": list(paths)}
    changes = any(route.change is not None for route in routes)
    coded = any(one.head is None for target in targets for one in target.tags)
    return _Application(coded, changes, met, first, carried)


def _ignored(route: Route) -> frozenset[str]:
    """The codes that the annotations of a route take out."""
    given = () if route.change is None else route.change.given.lint_ignore
    own = () if route.policy is None else route.policy.lint_ignore
    return frozenset((*own, *given))


def _of(route: Route, whole: _Application) -> Iterator[Finding]:
    if route.change is not None:
        yield from _of_change(route.change, whole)
    if route.policy is not None:
        yield from _of_cached(route, route.policy, changes=whole.changes)


# Routes that change something.


def _of_change(change: Change, whole: _Application) -> Iterator[Finding]:
    met, names = whole.met.get(change.by, set()), named_by(change.given)
    near = whole.first.get(_first_segment(change.leaf.path) or "")
    if not met and not names and near is not None:
        yield Finding.of(
            "W1",
            change.by,
            f"It changes something and drops nothing; {near} is cached",
            "Write @invalidates(...) with what it changes; or @invalidates(lint_ignore='W1')",
        )
    for one in names:
        if not one.certain:
            yield Finding.of(
                "I1",
                change.by,
                f"What {one.text} names is known only when it runs",
                "Test it with assert_invalidates",
            )
        elif (one.kind, one.text) not in met and not (one.kind == "tag" and whole.coded):
            yield _without_effect(change, one, whole)


def _without_effect(change: Change, effect: Effect, whole: _Application) -> Finding:
    """What names something that no cached route has."""
    carried = whole.carried["tag" if effect.kind == "tag" else "path"]
    close = closest(effect.text, carried)
    hint = f"Did you mean {close!r}? " if close is not None else ""
    what = "is carried by no cached route" if effect.kind == "tag" else "meets no cached route"
    return Finding.of(
        "W2",
        change.by,
        f"The {effect.kind} {effect.text!r} {what}",
        f"{hint}If values of the manager have it, write lint_ignore='W2'",
    )


def _first_segment(path: str) -> str | None:
    segments = [each for each in path.split("/") if each]
    named_ones = [each for each in segments if "{" not in each and each not in ("api", "v1", "v2")]
    return named_ones[0] if named_ones else None


# Routes that are cached.


def _of_cached(route: Route, policy: Policy, *, changes: bool) -> Iterator[Finding]:
    where, lifetime = str(route.leaf), policy.lifetime or 0.0
    # What the default is for includes pages of the framework's own, which nothing changes.
    if lifetime >= LONG and not route.dropped_by and route.reason != "default":
        text = f"It is cached for {lifetime:,.0f} s, and no route drops it"
        if changes:
            yield Finding.of(
                "W3",
                where,
                text,
                "Write @invalidates(...) where its data changes; or lint_ignore='W3' if that is"
                " elsewhere",
            )
        else:
            yield Finding.of("I2", where, text, "Drop it by the manager where its data changes")
    for name in sorted(_MANY_VALUES.intersection(policy.vary)):
        yield Finding.of(
            "W4",
            where,
            f"vary= names {name.decode()}, which has nearly as many values as there are clients",
            "Name what the response depends on: vary_by=, cookies=, or a field with few values",
        )
    yield from _of_tags(route, policy)
    spread = policy.jitter or policy.eager_refresh or policy.stale_while_revalidate
    if lifetime >= VERY_LONG and not spread:
        yield Finding.of(
            "I3",
            where,
            f"It is cached for {lifetime:,.0f} s: what was stored together expires together",
            "Write jitter=0.1, or eager_refresh=0.8 to renew what is asked for before it expires",
        )


def _of_tags(route: Route, policy: Policy) -> Iterator[Finding]:
    where, leaf = str(route.leaf), route.leaf
    texts = (*policy.tags, *policy.tags_from)
    for text in texts:
        if not isinstance(text, Template):
            yield Finding.of(
                "I1",
                where,
                f"What {named(text)} returns is known only when it runs",
                "Test it with assert_invalidates",
            )
    known = all(isinstance(text, Template) and not text.fields for text in texts)
    if texts and known and leaf.path_params:
        yield Finding.of(
            "W5",
            where,
            f"No tag has a place, and its path has {', '.join(leaf.path_params)}: each change of"
            " one drops all of its responses",
            f"Write a tag such as '{_word(leaf)}:{{{leaf.path_params[-1]}}}'",
        )


def _word(leaf: Leaf) -> str:
    return (_first_segment(leaf.path) or leaf.name or "item").rstrip("s") or "item"
