"""What is proposed for the routes of an application of which nothing was observed yet.

A proposal rests on declarations alone, which cannot prove that an answer may be given to another
request. So each says `shadow=True`, with which the application goes on to answer, and the report of
what was observed decides. Nothing is proposed where a route depends on who asks and what separates
the users is not known.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..config.policy import Policy
from ..config.templates import Template
from ..explain.effects import changing, invalidations_of
from ..explain.explanation import plain as as_json
from ..routing import RouteTable
from ..routing.annotations import Annotations, annotations_of
from ..routing.globs import fill_path
from ..routing.routes import Leaf
from ..routing.security import Need, unkeyed
from ..strategy import CacheStrategy
from .annotations import Changes, Dropping, cached_text, dropping, plain, tag_of
from .declared import measured, objection, place_of, separation, takes_request
from .edits import segments, words

_STRATEGY: Final = CacheStrategy.REAL_TIME
"""The shortest of the named lifetimes."""

_ASKS: Final = frozenset(("search", "query", "graphql", "filter", "lookup"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What is proposed for one route.

    Attributes:
        route: Its label, such as `GET /products/{id}`.
        place: Where its endpoint is written, as `file:line`; "" where that is not known.
        annotation: What to write above the endpoint; "" for nothing.
        why: Why it is that, or why nothing is proposed.
        check: What to look at before `shadow=True` is removed.
    """

    route: str
    place: str
    annotation: str
    why: str
    check: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Initial:
    """Proposals for an application.

    Attributes:
        has_cache: Whether it has a `CacheMiddleware` already.
        routes: One for each route and for each way in which it is used, in the router's order.
    """

    has_cache: bool
    routes: tuple[Proposed, ...]

    def as_json(self) -> dict[str, Any]:
        """What `json.dumps` takes."""
        found: dict[str, Any] = as_json(self)
        return found


@dataclass(frozen=True, slots=True)
class _Read:
    """A route that answers GET.

    Attributes:
        leaf: The route.
        policy: How it is cached now, or is proposed to be; None if it is not.
        told: What is said of it.
    """

    leaf: Leaf
    policy: Policy | None
    told: Proposed


def initial(table: RouteTable, *, has_cache: bool) -> Initial:
    """Proposals for the routes of an application: nothing of it runs.

    Args:
        table: The routes, and the rules that hold for them already.
        has_cache: Whether the application has a cache.
    """
    leaves = list(table.tree.leaves())
    reads = {id(leaf): _read(table, leaf) for leaf in leaves if _answers_get(leaf)}
    _refuse_several(reads)
    cached = [read for read in reads.values() if read.policy is not None]
    routes: list[Proposed] = []
    for leaf in leaves:
        if (read := reads.get(id(leaf))) is not None:
            routes.append(_with_changes(read, leaves))
        if methods := changing(leaf):
            routes.append(_change(leaf, methods, cached))
    return Initial(has_cache=has_cache, routes=tuple(routes))


def _with_changes(read: _Read, leaves: Iterable[Leaf]) -> Proposed:
    """What is proposed for a route that is read, with what is seen to change its data."""
    if not read.told.annotation:
        return read.told
    seen = [
        f"{','.join(methods)} {leaf.template}"
        for leaf in leaves
        if (methods := changing(leaf)) and _is_about(leaf, read.leaf)
    ]
    old = f"{_STRATEGY.seconds:g} s"
    check = f"an answer that is {old} old is good enough: no route is seen to change its data"
    if seen:
        check = f"nothing changes its data but {', '.join(seen)}"
    return replace(read.told, check=(*read.told.check, check))


def _answers_get(leaf: Leaf) -> bool:
    return leaf.methods is None or "GET" in leaf.methods


# What may be cached.


def _read(table: RouteTable, leaf: Leaf) -> _Read:
    label, marks = f"GET {leaf.template}", annotations_of(leaf.endpoint, "GET")
    policy, reason = _ruled(table, leaf, marks)
    if policy is not None or marks.never:
        why = "It says @no_cache" if marks.never else f"It is cached already ({reason})"
        return _Read(leaf, policy, _told(leaf, label, "", why))
    if why := objection(leaf):
        return _Read(leaf, None, _told(leaf, label, "", why))
    return _proposed(leaf, label)


def _ruled(table: RouteTable, leaf: Leaf, marks: Annotations) -> tuple[Policy | None, str]:
    """The policy that holds for a route already, and why."""
    if leaf.opaque:
        return None, "custom-match"
    path = fill_path(leaf.path, dict.fromkeys(leaf.path_params, "x"))
    return table.policy_for(marks, "GET", path, leaf)


def _told(leaf: Leaf, label: str, annotation: str, why: str, check: Iterable[str] = ()) -> Proposed:
    return Proposed(
        route=label,
        place=place_of(leaf.endpoint),
        annotation=annotation,
        why=why,
        check=tuple(check),
    )


def _proposed(leaf: Leaf, label: str) -> _Read:
    """What is proposed for a route against which nothing speaks but perhaps who asks."""
    changes = Changes(
        tags=(tag_of(f"GET {leaf.path}"),),
        vary=tuple(_names(leaf.needs, "header")),
        cookies=tuple(_names(leaf.needs, "cookie")),
    )
    policy, check = Policy(_STRATEGY.seconds, shadow=True), ["its answer depends on its URL alone"]
    if changes.vary or changes.cookies:
        check = [f"its answer depends on its URL and {', '.join(_declared(leaf.needs))} alone"]
    if takes_request(leaf.endpoint):
        check.append("what it hands the request to reads nothing but the URL")
    if by := measured(leaf.endpoint):
        check.append(f"what it measures by {by} is no part of its answer")
    guards = [one for one in leaf.needs if one.credential or one.place not in ("header", "cookie")]
    why = f"{_STRATEGY.name} is {_STRATEGY.seconds:g} s, to begin with"
    if guards:
        guarded = _guarded(leaf, guards)
        if isinstance(guarded, str):
            return _Read(leaf, None, _told(leaf, label, "", guarded))
        template, checks = guarded
        policy = Policy(_STRATEGY.seconds, shadow=True, guarded=True)
        if template:
            policy = policy.but("init", vary_by=template)
        check = [*checks, *check[1:]]
        why = f"{guards[0].what} decides on hits as well"
    text = cached_text(policy, changes)
    keyed = Policy(_STRATEGY.seconds, tags=changes.tags, vary=changes.vary, cookies=changes.cookies)
    if text is None or (not guards and unkeyed(keyed, leaf.needs) is not None):
        return _Read(leaf, None, _told(leaf, label, "", "Its options cannot be written as text"))
    text = text.replace(f"@cached({_STRATEGY.seconds:g}", f"@cached(CacheStrategy.{_STRATEGY.name}")
    return _Read(leaf, keyed, _told(leaf, label, text, why, check))


def _names(needs: Iterable[Need], place: str) -> Iterator[str]:
    return (need.name for need in needs if need.place == place and not need.credential)


def _declared(needs: Iterable[Need]) -> list[str]:
    return [n.what for n in needs if n.place in ("header", "cookie") and not n.credential]


def _guarded(leaf: Leaf, guards: Sequence[Need]) -> str | tuple[str, list[str]]:
    """What separates the users of a route, and what to check; or why nothing is proposed."""
    taken = [need for need in guards if need.place == "value"]
    if any(need.place == "all" for need in guards):
        return f"It depends on {guards[0].what}, which no key can hold"
    if not taken:
        check = "nothing that its dependencies find out about the user reaches the endpoint"
        return "", [f"{check}, such as by a context variable"]
    template = separation(leaf, taken)
    if not template:
        names = ", ".join(need.name for need in taken)
        return (
            f"It takes {names}, made of who asks: write guarded=True with vary_by= that names what "
            f"separates the users, such as '{{{taken[0].name}.id}}'"
        )
    return template, [f"{template} separates all who may get different answers, tenants and roles"]


def _refuse_several(reads: dict[int, _Read]) -> None:
    """Propose nothing for a function at several routes which would need different marks."""
    texts: dict[int, set[str]] = {}
    for read in reads.values():
        texts.setdefault(id(read.leaf.endpoint), set()).add(read.told.annotation)
    for key, read in reads.items():
        if len(texts[id(read.leaf.endpoint)]) > 1 and read.told.annotation:
            why = "Its function answers other routes too, for which the mark would be another one"
            told = replace(read.told, annotation="", why=why, check=())
            reads[key] = replace(read, policy=None, told=told)


# What drops it.


def _change(leaf: Leaf, methods: Sequence[str], cached: Sequence[_Read]) -> Proposed:
    """What a route that changes something is to name."""
    label = f"{','.join(methods)} {leaf.template}"
    about = [read for read in cached if _is_about(leaf, read.leaf)]
    has = invalidations_of(leaf)
    named = {
        text.text for text in (*has.tags, *has.paths, *has.patterns) if isinstance(text, Template)
    }
    wanted = [_dropped(leaf, read) for read in about]
    total = Dropping(
        tags=tuple(dict.fromkeys(t for one in wanted for t in one.tags if t not in named)),
        paths=tuple(dict.fromkeys(t for one in wanted for t in one.paths if t not in named)),
        patterns=tuple(dict.fromkeys(t for one in wanted for t in one.patterns if t not in named)),
    )
    if not about:
        asks = _ASKS & {part.lower() for part in words(leaf.path)} and "POST" in methods
        why = "No route that is cached has its path or a part of it"
        if asks:
            why = "If it only asks, write @cached(..., methods=['POST'], body=True)"
        return _told(leaf, label, "", why)
    if total == Dropping():
        return _told(leaf, label, "", "What it drops is named already")
    shown = ", ".join(dict.fromkeys(f"GET {read.leaf.template}" for read in about))
    check = "it changes nothing that other cached routes show"
    return _told(leaf, label, total.text(), f"It may change what {shown} shows", (check,))


def _is_about(change: Leaf, read: Leaf) -> bool:
    """Whether two routes are about the same, as far as their paths say: the first words of both."""
    mine, theirs = words(change.path), words(read.path)
    return bool(mine and theirs) and mine[0] == theirs[0]


def _dropped(change: Leaf, read: _Read) -> Dropping:
    """What names the answers of a cached route in the terms of a route that changes something."""
    route, own = f"GET {read.leaf.path}", _renamed(change.path, read.leaf.path)
    policy = read.policy
    tags = [text for text in (policy.tags if policy else ()) if isinstance(text, Template)]
    known = frozenset(change.path_params)
    for text in sorted(tags, key=lambda one: -len(one.fields)):
        if all(own.get(name) in known for name in text.fields):
            return Dropping(tags=(_with_names(text, own),))
    return dropping(change.path, route, None, ())


def _renamed(change: str, read: str) -> Mapping[str, str]:
    """Names of places of a cached route's path, and of the same places in a change's path."""
    found: dict[str, str] = {}
    for mine, theirs in zip(segments(plain(change)), segments(plain(read)), strict=False):
        places = mine[:1] == "{", theirs[:1] == "{"
        if all(places):
            found[theirs[1:-1]] = mine[1:-1]
        elif mine != theirs:
            break
    return found


def _with_names(text: Template, names: Mapping[str, str]) -> str:
    """A template with the places of another path."""
    shown = text.text
    for name in text.fields:
        shown = shown.replace(f"{{{name}}}", f"{{{names[name]}}}")
    return shown
