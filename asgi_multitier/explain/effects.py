"""Which routes drop what: templates of `@invalidates` compared with what responses carry.

Both are compared as patterns, in which each place of a template is a star: a text that is known is
a pattern without stars. What a callable names is not known.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..config.policy import Policy
from ..config.rules import Invalidations
from ..config.templates import Template, Texts, TextsFunction
from ..errors import InvalidationError
from ..policy.invalidation import is_safe
from ..routing.annotations import annotations_of
from ..routing.checks import methods_of
from ..routing.globs import globs_meet, may_meet, takes, templates_meet
from ..routing.layers import attribute
from ..routing.routes import Leaf, Tree
from ..routing.selection import routes_named
from ..selectors import glob_matches
from ..selectors.patterns import literal_head
from .explanation import Effect
from .heads import ByHead


@dataclass(frozen=True, slots=True)
class Carried:
    """A text that selects a response, or the responses of a route.

    Attributes:
        shown: How it is shown.
        pattern: The pattern of all that it may be; None where it is known, or a callable says it.
        text: What it is, where that is known.
    """

    shown: str
    pattern: str | None = None
    text: str | None = None

    @property
    def head(self) -> str | None:
        """The text with which it begins; None where a callable says it."""
        if self.text is not None:
            return self.text
        return None if self.pattern is None else literal_head(self.pattern)

    def meets(self, pattern: str) -> bool:
        """Whether it may be what the pattern matches."""
        if self.text is not None:
            return glob_matches(pattern, self.text)
        return self.pattern is not None and globs_meet(pattern, self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What selects a response, or the responses of a route.

    Attributes:
        shown: How its path is shown.
        route: The route's identity; "" where it is not known.
        template: The path template of the route.
        paths: The paths of the response; empty for all that the template takes.
        tags: Its tags.
        names: Its name, if it has one.
    """

    shown: str
    route: str
    template: str
    paths: tuple[str, ...] = ()
    tags: tuple[Carried, ...] = ()
    names: tuple[Carried, ...] = ()

    @property
    def heads(self) -> tuple[str, ...]:
        """The texts with which its paths begin."""
        return self.paths or (_head_of(self.template),)

    def path_meets(self, pattern: str) -> bool:
        """Whether a pattern matches one of its paths."""
        if self.paths:
            return any(glob_matches(pattern, path) for path in self.paths)
        return may_meet(pattern, self.template)

    def meets(self, leaf: Leaf) -> bool:
        """Whether a route takes one of its paths."""
        if self.paths:
            return any(takes(leaf.path, path) for path in self.paths)
        return templates_meet(self.template, leaf.path)


def pattern_of(text: Template) -> str:
    """The pattern of all texts that a template may give."""
    return next(iter(text.each_pattern({})))


def carried_by(texts: Texts) -> tuple[Carried, ...]:
    """What templates and callables may give."""
    return tuple(
        Carried(text.text, pattern_of(text))
        if isinstance(text, Template)
        else Carried(named(text), None)
        for text in texts
    )


def named(function: TextsFunction) -> str:
    """How a callable is shown."""
    return f"{getattr(function, '__qualname__', type(function).__qualname__)}()"


def target_of(leaf: Leaf, policy: Policy) -> Target:
    """What selects the responses of a route."""
    key: Texts = () if policy.key is None else (policy.key,)
    return Target(
        shown=leaf.template,
        route=leaf.template,
        template=leaf.path,
        tags=carried_by((*policy.tags, *policy.tags_from)),
        names=carried_by(key),
    )


def changing(leaf: Leaf) -> list[str]:
    """The methods of a route by which requests change something, as far as annotations say.

    A mount of something without routes, such as static files, does not say which methods it takes:
    it counts only where it says what it drops.
    """
    if _is_mount(leaf) and annotations_of(leaf.endpoint).invalidations is None:
        return []
    found = []
    for method in sorted(methods_of(leaf)):
        annotations = annotations_of(leaf.endpoint, method)
        policy = annotations.policy
        asks = policy is not None and policy.body and method in policy.methods
        if not is_safe(method) and not (asks and policy is not None and policy.when is None):
            found.append(method)
    return found


def _is_mount(leaf: Leaf) -> bool:
    """Whether what is there has neither routes nor methods that are known."""
    return leaf.methods is None and attribute(leaf.matcher, "endpoint") is None


def invalidations_of(leaf: Leaf) -> Invalidations:
    """What `@invalidates` names for the changes of a route."""
    total = Invalidations()
    for found in dict.fromkeys(
        annotations_of(leaf.endpoint, method).invalidations for method in changing(leaf)
    ):
        total = total + found if found is not None else total
    return total


@dataclass(frozen=True, slots=True)
class Change:
    """A route whose requests may change something.

    Attributes:
        number: Its place among those routes.
        leaf: The route.
        by: How it is shown.
        given: What its `@invalidates` names.
    """

    number: int
    leaf: Leaf
    by: str
    given: Invalidations


@dataclass(frozen=True, slots=True)
class Named:
    """One text that a change names.

    Attributes:
        change: The change.
        kind: `tag`, `path`, `pattern` or `route`.
        shown: How the text is shown.
        pattern: The pattern of all that it may be; "" for a route, and where a callable says it.
    """

    change: Change
    kind: str
    shown: str
    pattern: str = ""

    def effect(self, matches: str, *, certain: bool = True) -> Effect:
        """What it drops."""
        return Effect(
            by=self.change.by, kind=self.kind, text=self.shown, matches=matches, certain=certain
        )


_RANKS = ("url", "route", "tag", "path", "pattern")
"""The order in which effects of one change are told."""


class Changes:
    """The routes of an application whose requests may change something, and what they name.

    Args:
        tree: The application's routes.

    Attributes:
        all: The routes, in the router's order.
    """

    def __init__(self, tree: Tree) -> None:
        leaves = [leaf for leaf in tree.leaves() if changing(leaf)]
        self.all: tuple[Change, ...] = tuple(
            Change(number, leaf, str(leaf), invalidations_of(leaf))
            for number, leaf in enumerate(leaves)
        )
        texts = [one for change in self.all for one in _texts_of(change)]
        known = [one for one in texts if one.pattern]
        self._coded = [one for one in texts if not one.pattern]
        self._urls = ByHead((_head_of(change.leaf.path), change) for change in self.all)
        self._tags = ByHead((literal_head(o.pattern), o) for o in known if o.kind == "tag")
        self._names = ByHead((literal_head(o.pattern), o) for o in known if o.kind == "pattern")
        self._paths = ByHead(
            (literal_head(reading), (reading, one))
            for one in known
            if one.kind != "tag"
            for reading in tree.readings(one.pattern)
        )
        self._routes: dict[str, list[Named]] = {}
        for change in self.all:
            for name in change.given.routes:
                one = Named(change, "route", _shown_route(name))
                for template in {leaf.template for leaf in _routes(tree, name)}:
                    self._routes.setdefault(template, []).append(one)

    def on(self, target: Target) -> list[Effect]:
        """Which routes drop the target: by what they name, and by their own URL."""
        found = dict.fromkeys(self._on(target))
        ordered = sorted(found, key=lambda each: (each[0], _RANKS.index(each[1].kind)))
        return [effect for _, effect in ordered]

    def _on(self, target: Target) -> Iterator[tuple[int, Effect]]:
        """Effects, each with the number of its change."""
        shown = target.shown
        for head in target.heads:
            for change in self._urls.near(head):
                if target.meets(change.leaf):
                    text = change.leaf.template
                    effect = Effect(by=change.by, kind="url", text=text, matches=shown)
                    yield change.number, effect
            for reading, one in self._paths.near(head):
                if target.path_meets(reading):
                    yield one.change.number, one.effect(shown)
        for one in self._routes.get(target.route, ()):
            yield one.change.number, one.effect(target.route)
        yield from _meeting(self._tags, target.tags)
        yield from _meeting(self._names, target.names)
        for one in self._coded:
            if one.kind != "tag" or target.tags:
                yield one.change.number, one.effect("", certain=False)


def _texts_of(change: Change) -> Iterator[Named]:
    given = change.given
    for kind, texts in (("tag", given.tags), ("path", given.paths), ("pattern", given.patterns)):
        for text in texts:
            if isinstance(text, Template):
                yield Named(change, kind, text.text, pattern_of(text))
            else:
                yield Named(change, kind, named(text))


def _meeting(texts: ByHead[Named], carried: Sequence[Carried]) -> Iterator[tuple[int, Effect]]:
    """Which texts may be one that is carried."""
    for each in carried:
        if each.head is not None:
            for one in texts.near(each.head):
                if each.meets(one.pattern):
                    yield one.change.number, one.effect(each.shown)


def _head_of(template: str) -> str:
    """The text before the first place of a path template."""
    return template.partition("{")[0]


def named_by(given: Invalidations) -> list[Effect]:
    """What `@invalidates` names, as it states it."""
    texts: Iterable[tuple[str, Texts]] = (
        ("tag", given.tags),
        ("path", given.paths),
        ("pattern", given.patterns),
    )
    return [
        *(
            Effect(by="", kind=kind, text=text.text)
            if isinstance(text, Template)
            else Effect(by="", kind=kind, text=named(text), certain=False)
            for kind, each in texts
            for text in each
        ),
        *(Effect(by="", kind="route", text=_shown_route(name)) for name in given.routes),
    ]


def _routes(tree: Tree, name: object) -> list[Leaf]:
    try:
        return routes_named(tree, name)  # type: ignore[arg-type]  # as `@invalidates` has it
    except InvalidationError:
        return []  # the application does not start with it


def _shown_route(name: object) -> str:
    return name if isinstance(name, str) else str(getattr(name, "__qualname__", name))
