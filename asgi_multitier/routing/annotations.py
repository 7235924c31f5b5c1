"""`@cached`, `@invalidates`, `@no_cache`: annotations of an endpoint, which is returned unchanged.

They are one attribute of the function or class itself and are read when a request is resolved,
so their order among a framework's decorators does not matter. `functools.wraps` copies the
attribute to a wrapper; the search goes the other way, through `__wrapped__` and `partial`. The
annotations of a bound method are stored on its object, so each object may have its own.

Weak references to all annotated objects are kept, to report annotations that no route has.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import copy
from inspect import ismethod
from typing import Any, NamedTuple, Never, TypeVar, Unpack, overload
from weakref import WeakSet

import msgspec

from ..config.policy import Names, Policy, PolicyOptions, TextsOption, policy_of
from ..config.readers import read_codes
from ..config.rules import Invalidations
from ..config.templates import Template, texts_of
from ..errors import ConfigError, InvalidationError
from ..policy.invalidation import is_safe
from ..selectors import check_glob
from ..strategy import CacheStrategy, Lifetime, seconds_of
from .changed import reporting
from .endpoints import is_around
from .guarded import guarded

_ATTRIBUTE = "__asgi_multitier__"
_METHODS = "__asgi_multitier_methods__"

_marked: "WeakSet[Any]" = WeakSet()
"""Functions and classes with annotations that were found at no route yet."""

_above: "WeakSet[Any]" = WeakSet()
"""Those that stand above the decorator of a route, which calls the function below them."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
RouteName = str | Callable[..., Any]


class Annotations(msgspec.Struct, frozen=True):
    """What the decorators say about an endpoint.

    Attributes:
        policy: From `cached`.
        invalidations: From `invalidates`.
        never: From `no_cache`.
        inert: From `inert`.
    """

    policy: Policy | None = None
    invalidations: Invalidations | None = None
    never: bool = False
    inert: bool = False


NO_ANNOTATIONS = Annotations()


def cached(
    strategy: Lifetime | Policy = CacheStrategy.DEFAULT, **options: Unpack[PolicyOptions]
) -> Callable[[Endpoint], Endpoint]:
    """Cache the responses of an endpoint.

    Works on async and sync functions, methods, `functools.partial` objects and endpoint classes
    (all methods, unless one is marked itself), above or below a framework's decorators.

    Args:
        strategy: A `CacheStrategy`, seconds, a `timedelta`, or a whole `Policy`.
        **options: See `Policy`.

    Returns:
        A decorator that returns the endpoint itself; with `guarded=`, an async function around it,
        which has the same signature and the endpoint as `__wrapped__`.

    Raises:
        ConfigError: If an option is unknown or wrong, the endpoint is marked already, or a guarded
            one is not a plain function.
    """
    if callable(strategy):
        raise ConfigError(f"@cached on {_name(strategy)}: write @cached() with parentheses")

    def mark(endpoint: Endpoint) -> Endpoint:
        # Here and not above, so that an error can name the endpoint.
        where = f"@cached on {_name(endpoint)}"
        policy = policy_of(strategy, where=where, **options)
        if not policy.guarded:
            return _annotate(endpoint, "@cached", Annotations(policy=policy))
        # Its own, even where several marks are given one: by it a request knows its endpoint.
        policy = copy(policy)
        behind_guard: Endpoint = guarded(endpoint, policy, where=where)
        _marked.discard(endpoint)
        return _annotate(behind_guard, "@cached", Annotations(policy=policy))

    return mark


def invalidates(
    *given: Never,
    tags: TextsOption = (),
    paths: TextsOption = (),
    routes: RouteName | Iterable[RouteName] = (),
    patterns: TextsOption = (),
    settle: Lifetime = 0,
    lint_ignore: Names = (),
) -> Callable[[Endpoint], Endpoint]:
    """Name what a successful unsafe request of an endpoint invalidates besides its own URL.

    Args:
        *given: Nothing: each kind of name has an option.
        tags: Templates of tags, or callables taking the request.
        paths: The same for paths, with all their query strings, as the outermost cached application
            sees them: in a mounted one, after the mount's path.
        routes: Names or endpoints of routes: all their responses.
        patterns: The same for globs over paths and names.
        settle: Seconds for which what is invalidated, the request's own URL included, is not stored
            again on any instance: for endpoints that read from a replica that may lag so long.
        lint_ignore: Codes of findings that a lint of the routes leaves out here; it may stand
            alone.

    Returns:
        A decorator that returns the endpoint itself; where a template names an argument that is
        not in the URL, such as `{item.sku}`, a function around it that has the same signature.
        Several on one endpoint add up.

    Raises:
        ConfigError: If nothing is named, or an option is wrong.
    """

    _refuse_unnamed(given)

    def mark(endpoint: Endpoint) -> Endpoint:
        where = f"@invalidates on {_name(endpoint)}"
        named = Invalidations(
            tags=texts_of(tags, option="tags", where=where),
            paths=texts_of(paths, option="paths", where=where),
            routes=_routes(routes, where=where),
            patterns=texts_of(patterns, option="patterns", where=where),
            settle=seconds_of(settle, option="settle", where=where, zero=True),
            lint_ignore=read_codes(lint_ignore, "lint_ignore", where),
        )
        _check_fixed(named, where)
        if named == Invalidations():
            allowed = "expected tags, paths, routes, patterns, settle or lint_ignore"
            raise ConfigError(f"{where} names nothing; {allowed}")
        around = reporting(endpoint, named, where=where)
        if around is not endpoint:
            _marked.discard(endpoint)
        marked: Endpoint = _annotate(around, "@invalidates", Annotations(invalidations=named))
        return marked

    return mark


def _refuse_unnamed(given: tuple[object, ...]) -> None:
    """Refuse `@invalidates` without parentheses, and texts without the name of an option."""
    if given:
        what = "@invalidates" if callable(given[0]) else f"@invalidates({given[0]!r})"
        raise ConfigError(f"{what}: expected a name, such as @invalidates(tags=['product:{{id}}'])")


@overload
def no_cache(endpoint: Endpoint, /) -> Endpoint: ...
@overload
def no_cache() -> Callable[[Endpoint], Endpoint]: ...
def no_cache(endpoint: Any = None, /) -> Any:
    """Never cache an endpoint, whatever a rule or the default says. With or without parentheses.

    Raises:
        ConfigError: If it is marked with `cached`.
    """

    def mark(marked: Endpoint) -> Endpoint:
        return _annotate(marked, "@no_cache", Annotations(never=True))

    return mark if endpoint is None else mark(endpoint)


def inert(endpoint: Endpoint) -> Endpoint:
    """Never cache an endpoint, drop nothing because of a request to it, and do not count it.

    For applications of this package: they drop what they drop by themselves, and a look at the
    figures must not change them.
    """
    return _annotate(endpoint, "@inert", Annotations(never=True, inert=True))


def annotations_of(endpoint: object, method: str = "GET") -> Annotations:
    """What the decorators say about an endpoint, for one method.

    Args:
        endpoint: What the route calls: a function, a class, a `partial`, an object.
        method: The request's method. Of an endpoint class, those on the method itself count
            before those on the class.
    """
    # Django and Quart make a function of a class of views.
    kind = endpoint if isinstance(endpoint, type) else getattr(endpoint, "view_class", None)
    if isinstance(kind, type):
        handler = getattr(kind, method.lower(), None)
        if handler is None and method == "HEAD":
            handler = getattr(kind, "get", None)
        if handler is not None and (found := _search(handler)) is not None:
            return found
    found = _search(endpoint) or (_search(kind) if isinstance(kind, type) else None)
    if found is None and not isinstance(endpoint, type):
        found = _search(getattr(type(endpoint), "__call__", None))  # noqa: B004 - its annotations
    return found or NO_ANNOTATIONS


class Stray(NamedTuple):
    """Annotations that no route has, by the names of the annotated objects.

    Attributes:
        unused: Those that are at no route.
        above: Those around a function that a route calls without them.
    """

    unused: list[str]
    above: list[str]


def stray(carried: set[int], packages: set[str], called: set[int]) -> Stray:
    """The annotated objects whose annotations no route has; each is returned once.

    Args:
        carried: The identities of the annotations that routes have.
        packages: The packages of the application's endpoints; those in others may belong to another
            application.
        called: The identities of the application's endpoints.
    """
    unused, above = [], []
    packages = packages - {__name__.partition(".")[0]}  # its own may be mounted or not
    for target in list(_marked):
        is_carried = any(id(annotations) in carried for annotations in _own(target))
        module = getattr(target, "__module__", None) or ""
        if is_carried or module.partition(".")[0] in packages:
            _marked.discard(target)
        if is_carried or module.partition(".")[0] not in packages:
            continue
        if is_around(target, called):
            _above.add(target)
            above.append(f"{module}.{_name(target)}")
        else:
            unused.append(f"{module}.{_name(target)}")
    return Stray(sorted(unused), sorted(above))


def above(carried: set[int], endpoint: object) -> bool:
    """Whether a mark stands above the decorator of a route that calls this endpoint.

    Args:
        carried: The identities of the annotations that routes have.
        endpoint: What the route calls.
    """
    return any(
        is_around(target, {id(endpoint)}) and not any(id(one) in carried for one in _own(target))
        for target in (*_marked, *_above)
    )


def are_unclaimed() -> bool:
    """Whether anything is marked that was found at no route yet, outside of this package."""
    own = __name__.partition(".")[0]
    return any(not str(getattr(t, "__module__", "")).startswith(own) for t in list(_marked))


def _own(target: Any) -> Iterator[Annotations]:
    """The annotations of an object itself and of its methods."""
    held = getattr(target, "__dict__", {})
    if isinstance(annotations := held.get(_ATTRIBUTE), Annotations):
        yield annotations
    yield from held.get(_METHODS, {}).values()


def _search(endpoint: object) -> Annotations | None:
    """The annotations on an object or on what it wraps."""
    seen = 0
    while endpoint is not None and seen < 100:
        annotations = _of_method(endpoint) or getattr(endpoint, _ATTRIBUTE, None)
        if isinstance(annotations, Annotations):
            return annotations
        inner = endpoint.func if isinstance(endpoint, functools.partial) else None
        endpoint = inner or getattr(endpoint, "__wrapped__", None)
        seen += 1
    return None


def _of_method(endpoint: object) -> Annotations | None:
    """The annotations of a bound method, which are stored on its object."""
    if not ismethod(endpoint):
        return None
    held: dict[Any, Annotations] = getattr(endpoint.__self__, "__dict__", {}).get(_METHODS, {})
    return held.get(endpoint.__func__)


def _annotate(endpoint: Endpoint, decorator: str, new: Annotations) -> Endpoint:
    """Add annotations to an endpoint and return it."""
    name = _name(endpoint)
    if isinstance(endpoint, staticmethod | classmethod) or not callable(endpoint):
        raise ConfigError(f"{decorator} on {name}: expected an endpoint, a function or a class")
    # A class inherits its parent's annotations, and may replace them.
    present = vars(endpoint).get(_ATTRIBUTE) if isinstance(endpoint, type) else _search(endpoint)
    annotations = _join(present or NO_ANNOTATIONS, new, where=f"{decorator} on {name}")
    target: Any = endpoint
    try:
        if ismethod(endpoint):
            target = endpoint.__self__
            held = getattr(target, "__dict__", {}).get(_METHODS, {})
            setattr(target, _METHODS, {**held, endpoint.__func__: annotations})
        else:
            setattr(target, _ATTRIBUTE, annotations)
    except (AttributeError, TypeError):
        raise ConfigError(
            f"{decorator} on {name}: it takes no attributes; mark the function or use a Rule"
        ) from None
    with suppress(TypeError):  # it takes no weak references
        _marked.add(target)
    return endpoint


def _join(old: Annotations, new: Annotations, *, where: str) -> Annotations:
    """Both together, or an error where they contradict each other."""
    if old.policy is not None and new.policy is not None:
        raise ConfigError(f"{where}: it is cached already; expected one @cached")
    joined = Annotations(
        policy=new.policy or old.policy,
        invalidations=_sum(old.invalidations, new.invalidations),
        never=old.never or new.never,
        inert=old.inert or new.inert,
    )
    if joined.policy is not None and joined.never:
        raise ConfigError(f"{where}: @cached and @no_cache contradict; expected one of them")
    if joined.policy is not None and joined.invalidations and not _is_told_apart(joined.policy):
        raise ConfigError(
            f"{where}: a cached POST cannot invalidate; expected methods= without POST, or body= "
            "with a when= that says which POSTs change nothing"
        )
    return joined


def says_change(annotations: Annotations, policy: Policy, method: str) -> bool:
    """Whether an endpoint's `@invalidates` says that no request of a method is a question.

    Args:
        annotations: Those of the endpoint for the method.
        policy: A rule's: `body=` in it says that requests are questions.
        method: In capitals.
    """
    names = annotations.invalidations is not None and not is_safe(method)
    return names and bool(policy.body) and not _is_told_apart(policy)


def _is_told_apart(policy: Policy) -> bool:
    """Whether a POST need not be one whose response may be stored."""
    return "POST" not in policy.methods or bool(policy.body and policy.when)


def _sum(old: Invalidations | None, new: Invalidations | None) -> Invalidations | None:
    return old + new if old and new else old or new


def _check_fixed(named: Invalidations, where: str) -> None:
    """Refuse what could never match, as far as that is known without a request."""
    for text in named.paths:
        if isinstance(text, Template) and (text.text[0] not in "/{" or "?" in text.text):
            allowed = "a path that begins with '/', without a query string"
            raise ConfigError.of("paths", text.text, allowed, where=where)
    for text in named.patterns:
        if isinstance(text, Template) and not text.fields:
            try:
                check_glob(text.text)
            except InvalidationError as error:
                raise ConfigError(f"{where}: patterns: {error}") from None


def _routes(routes: RouteName | Iterable[RouteName], *, where: str) -> tuple[RouteName, ...]:
    if isinstance(routes, str) or callable(routes):
        given = [routes]
    elif isinstance(routes, Iterable):
        given = list(routes)
    else:
        raise ConfigError.of("routes", routes, "a route's name or endpoint, or some", where=where)
    for route in given:
        if not (isinstance(route, str) and route) and not callable(route):
            raise ConfigError.of("routes", route, "a route's name or endpoint", where=where)
    return tuple(given)


def _name(endpoint: object) -> str:
    return getattr(endpoint, "__qualname__", None) or repr(endpoint)
