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
from ..routing.routes import Leaf, Tree
from ..routing.selection import routes_named
from ..selectors import glob_matches
from .explanation import Effect


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

    def meets(self, pattern: str) -> bool | None:
        """Whether it may be what the pattern matches; None where that is not known."""
        if self.text is not None:
            return glob_matches(pattern, self.text)
        return None if self.pattern is None else globs_meet(pattern, self.pattern)


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
    """The methods of a route by which requests change something, as far as annotations say."""
    found = []
    for method in sorted(methods_of(leaf)):
        annotations = annotations_of(leaf.endpoint, method)
        policy = annotations.policy
        asks = policy is not None and policy.body and method in policy.methods
        if not is_safe(method) and not (asks and policy is not None and policy.when is None):
            found.append(method)
    return found


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
        leaf: The route.
        by: How it is shown.
        given: What its `@invalidates` names.
    """

    leaf: Leaf
    by: str
    given: Invalidations


def changes_in(tree: Tree) -> tuple[Change, ...]:
    """The routes of an application whose requests may change something."""
    leaves = (leaf for leaf in tree.leaves() if changing(leaf))
    return tuple(Change(leaf, str(leaf), invalidations_of(leaf)) for leaf in leaves)


def droppers(tree: Tree, changes: Iterable[Change], target: Target) -> list[Effect]:
    """Which routes drop the target: by what they name, and by their own URL."""
    return [effect for change in changes for effect in effects_on(tree, change, target)]


def effects_on(tree: Tree, change: Change, target: Target) -> Iterator[Effect]:
    """How a route's changes drop the target."""
    leaf, by, given = change.leaf, change.by, change.given
    if target.meets(leaf):
        yield Effect(by=by, kind="url", text=leaf.template, matches=target.shown)
    for name in given.routes:
        if target.route and any(each.template == target.route for each in _routes(tree, name)):
            yield Effect(by=by, kind="route", text=_shown_route(name), matches=target.route)
    for text in given.tags:
        yield from _by_text(by, "tag", text, target.tags)
    for option, texts in (("path", given.paths), ("pattern", given.patterns)):
        for text in texts:
            if not isinstance(text, Template):
                yield Effect(by=by, kind=option, text=named(text), certain=False)
            elif any(target.path_meets(each) for each in tree.readings(pattern_of(text))):
                yield Effect(by=by, kind=option, text=text.text, matches=target.shown)
            elif option == "pattern":
                yield from _by_text(by, option, text, target.names)


def _by_text(
    by: str, kind: str, text: Template | TextsFunction, carried: Sequence[Carried]
) -> Iterator[Effect]:
    """How a text that is named selects texts that are carried: what is known, else what may be."""
    if not carried:
        return
    if not isinstance(text, Template):
        yield Effect(by=by, kind=kind, text=named(text), certain=False)
        return
    pattern = pattern_of(text)
    met = [(one, one.meets(pattern)) for one in carried]
    known = any(meets for _, meets in met)
    for one, meets in met:
        if meets or (meets is None and not known):
            certain = meets is not None
            yield Effect(by=by, kind=kind, text=text.text, matches=one.shown, certain=certain)


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
