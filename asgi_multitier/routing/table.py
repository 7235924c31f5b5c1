"""Which rule a request falls under, known before the application runs.

An annotation beats a rule, the first rule that matches beats the default. What the router really
chose can be compared afterwards; a difference means that the table is out of date.
"""

import difflib
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from .._types import Scope
from ..config.policy import Policy
from ..config.rules import Invalidations, Rule
from ..config.templates import render_texts, within_bounds
from ..errors import ConfigError, InvalidationError
from ..policy.invalidation import is_safe
from ..selectors import MAX_TEXT, Selector, alias_tag, fitted, spellings
from .annotations import NO_MARKS, Marks, marks_of
from .checks import check_effect, check_leaf, check_rules, leaf_marks, stray_marks
from .foreign import routed, unreadable
from .globs import fill_glob, fill_path
from .routes import Found, Leaf, Tree, build, containers, find, fingerprint, route_path
from .security import unkeyed

RouteName: TypeAlias = str | Callable[..., Any]

_NOTHING: Mapping[str, Any] = MappingProxyType({})

_MAX_MISTAKES = 64
"""Pairs of an expected route and another endpoint that are counted apart."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What holds for requests of one method, path and host.

    Attributes:
        policy: How responses are cached; None if they are not.
        invalidations: What a success drops beside its own URL; None if nothing is named.
        endpoint: What the router is expected to choose; None if nothing is.
        route: The route's identity: its whole path template; "" if there is none.
        path_params: Converted path parameters.
        texts: The same as texts in one form, as templates get them.
        declared: Whether the endpoint itself says `no_cache`.
        alias: As a tag, the path with parameters in their one form; empty if it is so already.
        reason: Why it is so: `annotation`, `rule`, `default`, `no-cache`, `no-rule`, `method` (the
            route does not take it, or its policy leaves it out), `security` (who asks is checked by
            the route, and the rule does not say how users are told apart), `custom-match` (a route
            decides by code of its own), `match-error`.
    """

    policy: Policy | None
    invalidations: Invalidations | None
    endpoint: Any
    route: str
    path_params: Mapping[str, Any]
    texts: Mapping[str, str]
    declared: bool
    reason: str
    alias: tuple[str, ...] = ()
    leaf: Leaf | None = field(default=None, repr=False, compare=False)


class RouteTable:
    """The rules of an application's routes.

    Not thread-safe; made and asked in the event loop's thread.

    Attributes:
        generation: Rises whenever what was resolved before may no longer hold.
        unreadable: The class of an application whose routes are of a kind that is not known: it
            has rules and the default only. "" for any other.
    """

    __slots__ = (
        "_app",
        "_apps",
        "_default",
        "_fingerprint",
        "_mistakes",
        "_root",
        "_rules",
        "generation",
        "unreadable",
    )

    generation: int
    unreadable: str

    def __init__(
        self, app: object = None, *, rules: Sequence[Rule] = (), default: Policy | None = None
    ) -> None:
        """Find the application; its routes are read when they are first needed.

        Args:
            app: An ASGI application, or one that wraps it in `.app` again and again; one without
                routes has rules and the default only.
            rules: For what is not annotated; the first that matches counts.
            default: For what no rule matches; None to cache none of it.
        """
        self._app = routed(app)
        self.unreadable = "" if self._app is not None else unreadable(app)
        self._rules = tuple(rules)
        self._default = default
        self._root: Tree | None = None
        self._apps: list[Any] = []
        self._fingerprint: list[tuple[int, ...]] = []
        self._mistakes: Counter[tuple[str, str]] = Counter()
        self.generation = 0

    @property
    def has_routes(self) -> bool:
        """Whether an application with routes was found."""
        return self._app is not None

    @property
    def routes(self) -> tuple[str, ...]:
        """The identities of all routes, in the router's order, without repeats."""
        return tuple(dict.fromkeys(leaf.template for leaf in self._tree().leaves()))

    @property
    def endpoints(self) -> tuple[object, ...]:
        """The endpoints of all routes, in the router's order."""
        return tuple(leaf.endpoint for leaf in self._tree().leaves() if leaf.endpoint is not None)

    def attach(self, scope: Scope) -> bool:
        """Take the application that the scope names, where following `.app` led nowhere.

        A middleware that is a plain function hides what it wraps. Inside a mount the scope may name
        the application outside, whose paths are others, so there nothing is taken.

        Args:
            scope: A request's or the lifespan's scope.

        Returns:
            Whether an application with routes is known now.
        """
        root_path = scope.get("root_path", "")
        if self._app is None and scope.get("app_root_path", root_path) == root_path:
            self._app = routed(scope.get("app"))
            if self._app is None:
                self.unreadable = self.unreadable or unreadable(scope.get("app"))
            else:
                self.unreadable = ""
                self.clear()
        return self._app is not None

    def clear(self) -> None:
        """Forget the routes; they are read again when they are next needed."""
        self._root = None
        self.generation += 1

    def refresh(self) -> bool:
        """Clear if routes were added or taken away; returns whether they were."""
        if self._root is None or fingerprint(self._apps) == self._fingerprint:
            return False
        self._mistakes.clear()
        self.clear()
        return True

    def mistaken(self, resolved: Resolved, endpoint: object) -> bool:
        """Clear, as the router chose another endpoint than was expected.

        Routes that are read again may lead to the same mistake, as where a layer inside of the
        cache gives the router another path. Then that is not done for each request, but whenever
        the number of such mistakes has doubled.

        Returns:
            Whether the routes were forgotten.
        """
        mistake = (resolved.route, getattr(endpoint, "__qualname__", type(endpoint).__qualname__))
        if len(self._mistakes) >= _MAX_MISTAKES and mistake not in self._mistakes:
            mistake = ("", "")  # of all others
        self._mistakes[mistake] += 1
        count = self._mistakes[mistake]
        if count & (count - 1):
            return False
        self.clear()
        return True

    def check(self) -> None:
        """Validate every annotation and rule against the routes.

        Raises:
            ConfigError: For an annotation that no request can meet, a template that names no
                parameter, a query allow-list that leaves out what a template or the endpoint
                takes, and a cached route that checks who asks although its rule does not say how
                users are told apart.
        """
        leaves = list(self._tree().leaves())
        for leaf in leaves:
            check_leaf(leaf)
        check_rules(self._rules, self._default, leaves)
        for leaf in leaves:
            for marks in leaf_marks(leaf):
                for name in marks.invalidations.routes if marks.invalidations else ():
                    self._check_name(name, leaf)
        check_effect(leaves)

    def stray(self) -> list[str]:
        """What is marked near the application's endpoints and stands at no route of it.

        Each is named once in a process, and none where the routes are not known.
        """
        return stray_marks(self._tree().leaves()) if self.has_routes else []

    def resolve(
        self,
        method: str,
        path: str,
        root_path: str = "",
        *,
        host: str | bytes = "",
        path_params: Mapping[str, Any] = _NOTHING,
    ) -> Resolved:
        """What holds for a request.

        Args:
            method: In capitals, as in the scope.
            path: The scope's `path`, root path included.
            root_path: The scope's `root_path`.
            host: The `Host` field's value.
            path_params: Path parameters that an application around this one has set.

        Returns:
            The rule with the reason for it. Routes added since the last call are seen.
        """
        self.refresh()
        scope = _scope(method, path, root_path, host, path_params)
        try:
            return self._resolved(method, self.path_of(path, root_path), find(self._tree(), scope))
        except Exception:  # noqa: BLE001  # a convertor or route of the application's own
            return _nothing("match-error")

    def _resolved(self, method: str, path: str, found: Found) -> Resolved:
        """What holds for a request of this path, as the whole application sees it."""
        if not found.certain:
            return _nothing("custom-match")
        if found.leaf is not None and not found.full:
            return _nothing("method", found)
        return self._decide(method, path, found)

    def path_of(self, path: str, root_path: str) -> str:
        """The path as the application's routes know it: what every selector of paths means.

        Args:
            path: The scope's `path`, or a URL's path, decoded; the root path may stand before it.
            root_path: The scope's `root_path`. One that the application insists on takes its place,
                as it does inside.
        """
        return route_path(path, self._tree().root_path or root_path)

    def meant_by(self, text: str, root_paths: Iterable[str] = ("",)) -> list[str]:
        """The paths or patterns, as selectors have them, that somebody may mean with a text.

        What stands in `request.url.path`, or comes from `url_for`, has the root path in front.

        Args:
            text: A path or a pattern.
            root_paths: Those of the requests that it is written in.
        """
        roots = [self._tree().root_path, *root_paths]
        return list(dict.fromkeys([text, *(route_path(text, root) for root in roots)]))

    def confirms(self, resolved: Resolved, endpoint: object) -> bool:
        """Whether the router chose what was expected.

        Args:
            resolved: What was expected.
            endpoint: `scope["endpoint"]` after the application ran; None if there is none, as where
                a middleware answered, which proves nothing.
        """
        if endpoint is None or self._app is None:
            return True
        if resolved.reason in ("custom-match", "match-error"):
            return True
        if resolved.endpoint is not endpoint and routed(endpoint) is not None:
            # A mount on the way: what the application behind it chose, if anything, is not said.
            return True
        return resolved.endpoint is endpoint or bool(resolved.endpoint == endpoint)

    def chosen(self, resolved: Resolved, scope: Scope) -> Resolved:
        """What a change drops by the endpoint that had it, which may be another than expected.

        A layer inside of the cache may have given the router another path, and a route with code of
        its own is not foretold at all.

        Args:
            resolved: What was expected.
            scope: The request's, after the application answered or raised.
        """
        endpoint = scope.get("endpoint")
        if endpoint is None or endpoint == resolved.endpoint or routed(endpoint) is not None:
            return resolved
        leaves = (leaf for leaf in self._tree().leaves() if leaf.endpoint == endpoint)
        leaf = next(leaves, None)
        params = scope.get("path_params") or _NOTHING
        return replace(
            resolved,
            invalidations=marks_of(endpoint, scope["method"]).invalidations,
            endpoint=endpoint,
            route=leaf.template if leaf else "",
            path_params=params,
            texts={name: _text(leaf, name, value) for name, value in params.items()},
            leaf=leaf,
        )

    def misses(self, resolved: Resolved, scope: Scope) -> bool:
        """Whether something has answered that no route shows, where routes name what they drop.

        So it is where a layer inside of the cache gives the router a scope of its own with another
        path: the endpoint stands in that one.
        """
        if scope.get("endpoint") is not None or resolved.leaf is not None:
            return False
        return any(
            marks.invalidations is not None
            for leaf in self._tree().leaves()
            for marks in leaf_marks(leaf)
        )

    def answers(self, resolved: Resolved, endpoint: object, *, proven: bool) -> bool:
        """Whether an endpoint had the request, and not only a router or a middleware before it.

        Where a middleware has given the application another scope, the router's choice cannot be
        seen; then what was expected counts, as it does where no routes are known.

        Args:
            resolved: What was expected.
            endpoint: `scope["endpoint"]` after the application answered or raised.
            proven: Whether nothing but the router's own choice counts.
        """
        if endpoint is not None and routed(endpoint) is None:
            return True
        if self._app is None:
            return not proven
        expected = resolved.leaf is not None and resolved.reason != "method"
        return not proven and (expected or resolved.reason in ("custom-match", "match-error"))

    def values(self, resolved: Resolved, query: bytes) -> dict[str, tuple[str, ...]]:
        """What templates are filled from: path and query parameters, each with all its values.

        One value counts where the endpoint declares that it takes one: the last. A parameter that
        it declares as a list, and a name that it does not declare at all, has all that were sent.
        Where a FastAPI route declares a number, a truth value or a UUID, the text is brought into
        one form, so that `/products/007` and `/products/7` carry the same tag. A parameter that
        was not sent has the default that the route's signature states; without one it is not
        there, and a template renders it as nothing.
        """
        sent: dict[str, dict[str, None]] = {}
        for name, text in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            texts = sent.setdefault(name, {})
            texts.pop(text, None)  # the last that was sent stands last
            texts[text] = None
        values = {name: tuple(texts) for name, texts in sent.items()}
        if resolved.leaf is not None:
            for name, declared in resolved.leaf.fields.items():
                if declared.alias in sent:
                    values[name] = declared.read_all(tuple(sent[declared.alias]))
                elif default := declared.default():
                    values[name] = default
        return values | {name: (text,) for name, text in resolved.texts.items()}

    def labels(
        self, resolved: Resolved, values: Mapping[str, Sequence[str]], request: object
    ) -> tuple[str, tuple[str, ...]] | None:
        """The name and the tags of a response; None if it may not have them: it is not stored.

        Several values under one name would be a response that some of its names do not find.
        An exception of a callable in `tags=` reaches the caller.
        """
        tags = self.tags(resolved, values, request)
        if tags is None:
            return None
        tags = resolved.alias + tags
        key = resolved.policy.key if resolved.policy is not None else None
        if key is None:
            return "", tags
        names = list(islice(key.each(values), 2))
        return (names[0], tags) if len(names) == 1 else None

    def tags(
        self, resolved: Resolved, values: Mapping[str, Sequence[str]], request: object
    ) -> tuple[str, ...] | None:
        """The tags of a response; None if they are beyond bounds: then it is not stored.

        An exception of a callable in `tags=` reaches the caller.
        """
        if resolved.policy is None:
            return ()
        try:
            tags = render_texts(resolved.policy.tags, values, request)
        except InvalidationError:  # far more than a response may carry
            return None
        return tuple(tags) if within_bounds(tags) else None

    def dropped_by(
        self,
        resolved: Resolved,
        values: Mapping[str, Sequence[str]],
        request: object,
        root_path: str = "",
    ) -> list[Selector]:
        """What a success of this route drops, beside its own URL.

        A pattern that parameters make too long becomes a wider one. An exception of a callable in
        `tags=`, `paths=` or `patterns=` reaches the caller.

        Args:
            resolved: The route.
            values: What its templates are filled from.
            request: What its callables are called with.
            root_path: The root path of the request's scope.

        Raises:
            InvalidationError: If parameters with many values make more than 10,000 texts.
        """
        named = resolved.invalidations
        if named is None:
            return []
        tags = render_texts(named.tags, values, request)
        selectors = [Selector("tag", tag) for tag in tags if within_bounds([tag])]
        roots = (root_path,)
        for path in render_texts(named.paths, values, request):
            meant = [each for one in spellings(path) for each in self.meant_by(one, roots)]
            selectors += [
                Selector("path", each) for each in meant if len(each.encode()) <= MAX_TEXT
            ]
        for name in named.routes:
            selectors += [Selector("route", leaf.template) for leaf in self._named(name)]
        patterns = render_texts(named.patterns, values, request, pattern=True)
        for pattern in patterns:
            meant = [each for each in self.meant_by(pattern, roots) if each]
            selectors += [Selector("glob", fitted(each)) for each in meant]
        return list(dict.fromkeys(selectors))

    def route_paths(
        self, name_or_endpoint: RouteName, params: Mapping[str, object] = _NOTHING
    ) -> list[Selector]:
        """What selects the responses of a route.

        Args:
            name_or_endpoint: The route's name (with its mounts' names: `api:product`), its path
                template, or its endpoint.
            params: Path parameters. With all of them a path is selected, with some a pattern of
                paths, with none all that the route filled.

        Returns:
            One selector for each place at which the route stands.

        Raises:
            InvalidationError: If there is no such route, or it has no such parameter.
        """
        leaves = self._named(name_or_endpoint)
        fitting = [leaf for leaf in leaves if params.keys() <= set(leaf.params)]
        if not fitting:
            known = sorted({param for leaf in leaves for param in leaf.params})
            raise InvalidationError(
                f"route {name_or_endpoint!r} has no such parameters: {', '.join(params)}; "
                f"expected some of {', '.join(known) or 'none'}"
            )
        return list(
            dict.fromkeys(
                _selector(leaf, given)
                for leaf in fitting
                for given in (params, _in_one_form(leaf, params))
            )
        )

    def __repr__(self) -> str:
        known = "not read" if self._root is None else f"{len(self.routes)} routes"
        return f"RouteTable({known}, {len(self._rules)} rules, generation {self.generation})"

    def _tree(self) -> Tree:
        if self._root is None:
            self._root = Tree() if self._app is None else build(self._app)
            self._apps = [] if self._app is None else containers(self._app)
            self._fingerprint = fingerprint(self._apps)
        return self._root

    def _decide(self, method: str, path: str, found: Found) -> Resolved:
        """The rule: the endpoint's own, else the first that matches, else the default."""
        leaf = found.leaf
        marks = NO_MARKS if leaf is None else marks_of(leaf.endpoint, method)
        policy, reason = self._policy(marks, path)
        if policy is not None and method not in policy.methods:
            policy, reason = None, "method"
        elif policy is not None and leaf is not None and unkeyed(policy, leaf.needs) is not None:
            policy, reason = None, "security"
        params = found.path_params or _NOTHING
        texts = {name: _text(leaf, name, value) for name, value in params.items()}
        usual = path
        if leaf is not None and (policy is not None or not is_safe(method)):
            usual = _path_in_one_form(leaf, texts, path)
        return Resolved(
            policy=policy,
            invalidations=None if is_safe(method) else marks.invalidations,
            endpoint=leaf.endpoint if leaf else None,
            route=leaf.template if leaf else "",
            path_params=params,
            texts=texts,
            declared=marks.never,
            reason=reason,
            alias=(alias_tag(usual),) if usual != path else (),
            leaf=leaf,
        )

    def _policy(self, marks: Marks, path: str) -> tuple[Policy | None, str]:
        if marks.never:
            return None, "no-cache"
        if marks.policy is not None:
            return marks.policy, "annotation"
        for rule in self._rules:
            if rule.matches(path):
                return rule.policy, "rule" if rule.policy else "no-cache"
        return self._default, "default" if self._default else "no-rule"

    def _check_name(self, name: RouteName, leaf: Leaf) -> None:
        try:
            self._named(name)
        except InvalidationError as error:
            raise ConfigError(f"{leaf}: routes= of @invalidates: {error}") from None

    def _named(self, name: RouteName) -> list[Leaf]:
        """The routes of this name, path template or endpoint."""
        leaves = list(self._tree().leaves())
        found = [leaf for leaf in leaves if _is_called(leaf, name)]
        if not found:
            names = sorted({leaf.name for leaf in leaves if leaf.name})
            text = name if isinstance(name, str) else getattr(name, "__name__", repr(name))
            close = difflib.get_close_matches(text, names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(names) or 'none'}"
            raise InvalidationError(f"there is no route {text!r}; {hint}")
        return found


def _scope(
    method: str, path: str, root_path: str, host: str | bytes, path_params: Mapping[str, Any]
) -> dict[str, Any]:
    """As much of a scope as routes look at."""
    value = host.encode("latin-1", "replace") if isinstance(host, str) else host
    return {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": root_path,
        "headers": [(b"host", value)] if value else [],
        "path_params": dict(path_params),
    }


def _nothing(reason: str, found: Found | None = None) -> Resolved:
    leaf = found.leaf if found else None
    return Resolved(
        policy=None,
        invalidations=None,
        endpoint=leaf.endpoint if leaf else None,
        route="",
        path_params=_NOTHING,
        texts=_NOTHING,
        declared=False,
        reason=reason,
        leaf=leaf,
    )


def _text(leaf: Leaf | None, name: str, value: Any) -> str:
    """A path parameter's text, in its one form where the route declares its type."""
    declared = leaf.fields.get(name) if leaf is not None else None
    return declared.read(value) if declared and isinstance(value, str) else str(value)


def _path_in_one_form(leaf: Leaf, texts: Mapping[str, str], path: str) -> str:
    """The path as it is written where each parameter is in its one form."""
    return fill_path(leaf.path, texts) if set(leaf.params) <= texts.keys() else path


def _in_one_form(leaf: Leaf, params: Mapping[str, object]) -> dict[str, object]:
    """Parameters, given by the application, as texts that requests have in `Resolved.texts`."""
    convertors = getattr(leaf.matcher, "param_convertors", None) or {}
    found: dict[str, object] = {}
    for name, value in params.items():
        text = str(value.value if isinstance(value, Enum) else value)
        try:
            read = convertors[name].convert(text) if name in convertors else text
        except Exception:  # noqa: BLE001  # no request has this value
            read = text
        found[name] = _text(leaf, name, read)
    return found


def _is_called(leaf: Leaf, name: RouteName) -> bool:
    if isinstance(name, str):
        return name in (leaf.name, leaf.template)
    if isinstance(leaf.endpoint, type) and any(
        getattr(leaf.endpoint, method, None) is name for method in ("get", "head", "post")
    ):
        return True
    return leaf.endpoint is not None and _bare(leaf.endpoint) == _bare(name)


def _bare(endpoint: Any) -> Any:
    return inspect.unwrap(endpoint) if callable(endpoint) else endpoint


def _selector(leaf: Leaf, params: Mapping[str, object]) -> Selector:
    if params.keys() == set(leaf.params):
        return Selector("path", fill_path(leaf.path, params))
    pattern = fill_glob(leaf.path, params) if params else None
    return Selector("route", leaf.template) if pattern is None else Selector("glob", pattern)
