"""Checks annotations and rules against the routes at start-up; errors name the route."""

from collections.abc import Iterable, Iterator, Sequence

from ..config.policy import Policy
from ..config.rules import Invalidations, Rule
from ..config.templates import Template, Texts
from ..errors import ConfigError, InvalidationError
from ..policy.invalidation import is_safe
from .annotations import (
    NO_ANNOTATIONS,
    Annotations,
    Stray,
    above,
    annotations_of,
    says_change,
    stray,
)
from .changed import names_of_arguments
from .endpoints import arguments_of
from .globs import covers, fill_glob, may_meet
from .routes import Leaf, Tree
from .security import remedy, unkeyed
from .selection import routes_named

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY")

_WAYS_OUT = (
    "a hit runs no authentication; expected {guarded}what separates the users: vary= or cookies= "
    "({remedy}), or vary_by= with a callable that returns the user or tenant; public=True only if "
    "everyone may get the response, without a login too"
)

_BY_A_GUARD = "guarded=True, with which it runs on hits too; or "
"""The first way out, where the framework knows guarded routes."""

_GUARDED_WAYS_OUT = (
    "guarded=True says that the endpoint takes nothing from its guard; expected vary_by= with what "
    "separates the users, such as vary_by='{{{name}.id}}', or guarded='shared' if all whom the "
    "guard lets in may get the same response"
)


def check(tree: Tree, rules: Sequence[Rule], default: Policy | None) -> None:
    """Validate every annotation and rule against the routes.

    Raises:
        ConfigError: For an annotation that no request can meet, a template that names no
            parameter, a query allow-list that leaves out what a template or the endpoint takes, and
            a cached route that checks who sent the request although its rule does not say how users
            are told apart.
    """
    leaves = list(tree.leaves())
    for leaf in leaves:
        _check_leaf(leaf, overridden=_overridden(leaf, rules))
    _check_rules(rules, default, leaves)
    for leaf in leaves:
        _check_names(leaf, tree)
    _check_effect(leaves, rules)


def _overridden(leaf: Leaf, rules: Sequence[Rule]) -> bool:
    """Whether rules replace the policy of an annotation wherever the route is asked."""
    return any(rule.override and covers(rule.glob, leaf.path) for rule in rules)


def leaf_annotations(leaf: Leaf) -> list[Annotations]:
    """What the decorators say about a route, for each of its methods, without repeats."""
    found = dict.fromkeys(annotations_of(leaf.endpoint, method) for method in methods_of(leaf))
    return [annotations for annotations in found if annotations != NO_ANNOTATIONS]


def methods_of(leaf: Leaf) -> Iterable[str]:
    """The methods that a route takes; of an endpoint class, those for which it has functions."""
    if leaf.methods:
        return sorted(leaf.methods)
    if isinstance(leaf.endpoint, type):
        own = [method for method in _METHODS if hasattr(leaf.endpoint, method.lower())]
        # HEAD is answered by `get`; a class without any of them answers by code of its own.
        return {*own, "HEAD"} if "GET" in own else own or _METHODS
    return _METHODS


def stray_annotations(leaves: Iterable[Leaf]) -> Stray:
    """The annotated objects, in the packages of these routes' endpoints, that are at no route.

    They do nothing: those of a helper or a dependency, of an endpoint below a decorator without
    `functools.wraps`, of one whose router is not included, or above a route's own decorator.
    """
    leaves = list(leaves)
    packages: set[str] = set()
    for leaf in leaves:
        module = getattr(leaf.endpoint, "__module__", None)
        packages.add(module.partition(".")[0] if isinstance(module, str) else "")
    called = {id(leaf.endpoint) for leaf in leaves}
    return stray(_carried(leaves), packages - {"", "fastapi", "starlette"}, called)


def below_their_marks(leaves: Iterable[Leaf]) -> Iterator[Leaf]:
    """The routes that call a function without the mark that stands above their decorator."""
    leaves = list(leaves)
    carried = _carried(leaves)
    return (leaf for leaf in leaves if above(carried, leaf.endpoint))


def _carried(leaves: Iterable[Leaf]) -> set[int]:
    """The identities of the annotations that routes have."""
    return {
        id(annotations_of(leaf.endpoint, method)) for leaf in leaves for method in methods_of(leaf)
    }


def _check_effect(leaves: Iterable[Leaf], rules: Sequence[Rule]) -> None:
    """Refuse an annotation that no request can meet.

    One endpoint may have several routes, so it is enough that one of them takes such requests.
    """
    # By identity: wrappers and bound methods of an endpoint share its annotations object.
    met: dict[int, tuple[Leaf, Annotations, set[str]]] = {}
    for leaf in leaves:
        for method in methods_of(leaf):
            annotations = annotations_of(leaf.endpoint, method)
            met.setdefault(id(annotations), (leaf, annotations, set()))[2].add(method)
    for leaf, annotations, methods in met.values():
        taken = ", ".join(sorted(methods))
        policy = annotations.policy
        met_here = policy and methods & policy.answered - {"HEAD"}
        if policy and not met_here and not _overridden(leaf, rules):
            raise ConfigError(
                f"{leaf}: @cached does nothing where only {taken} is taken; expected a route that "
                f"takes {_wanted(policy)}"
            )
        if annotations.invalidations is not None and all(map(is_safe, methods)):
            raise ConfigError(
                f"{leaf}: @invalidates does nothing where only {taken} is taken; expected a method "
                "that changes something, such as POST; where a GET does, call the manager's "
                "invalidate_tags or the like in the endpoint"
            )


def _wanted(policy: Policy) -> str:
    """What to write in place of an annotation that no request can meet."""
    if policy.body:
        return f"{' or '.join(sorted(policy.methods - {'HEAD'}))}, as methods= says"
    return (
        "GET, as stored responses answer GET and HEAD; or methods=['POST'], body=True, where a "
        "POST asks for something and changes nothing"
    )


def _check_leaf(leaf: Leaf, *, overridden: bool) -> None:
    """Validate a route's annotations, except a policy that is overridden."""
    for annotations in leaf_annotations(leaf):
        policy = None if overridden else annotations.policy
        if leaf.opaque and policy is not None:
            route = getattr(leaf.matcher, "original_route", leaf.matcher)
            raise ConfigError(
                f"{leaf}: @cached cannot work where {type(route).__name__}.matches decides "
                "by itself which requests it takes; expected a route class without it"
            )
        if policy is not None:
            _check_policy(leaf, policy)
        if annotations.invalidations is not None:
            _check_invalidations(leaf, annotations.invalidations)


def _check_rules(rules: Sequence[Rule], default: Policy | None, leaves: Iterable[Leaf]) -> None:
    """Refuse rules that break a route, or share what it gives to one user.

    The default may match a route that checks the user, as it is not used there.
    """
    for leaf in leaves:
        for rule in _deciding(leaf, rules):
            if rule is None:
                if default is not None:
                    _check_required(leaf, default, where=f"default policy, {leaf}")
            elif rule.policy is not None and may_meet(rule.glob, leaf.path):
                _check_rule(rule, rule.policy, leaf)


def _deciding(leaf: Leaf, rules: Sequence[Rule]) -> Iterator[Rule | None]:
    """The rules that may decide for a route, in the order in which they do; None for the default.

    None comes where the annotations do not decide, and no rule covers all of the route.
    """
    annotations = _reading_annotations(leaf)
    if all(one.never for one in annotations):
        return
    for override in (True, False):
        for rule in rules:
            if rule.override is override:
                yield rule
                if covers(rule.glob, leaf.path):
                    return
        if override and all(one.never or one.policy is not None for one in annotations):
            return
    yield None


def _check_rule(rule: Rule, policy: Policy, leaf: Leaf) -> None:
    annotations = {method: annotations_of(leaf.endpoint, method) for method in policy.methods}
    if not any(
        leaf.takes(frozenset((method,))) and not says_change(marks, policy, method)
        for method, marks in annotations.items()
    ):
        return
    if (need := unkeyed(policy, leaf.needs)) is not None:
        left_out = fill_glob(leaf.path, {}) or leaf.path
        override, instead = "", "a @cached that says how its users are told apart"
        if rule.override:
            override, instead = ", override=True", "@no_cache"
        raise ConfigError(
            f"Rule({rule.glob!r}): {leaf} depends on {need.what}, and a hit runs no "
            f"authentication; expected Rule({left_out!r}, None{override}) before this rule to "
            f"leave the route out, or on its endpoint {instead}"
        )
    _check_required(leaf, policy, where=f"Rule({rule.glob!r}): {leaf}")


def _check_required(leaf: Leaf, policy: Policy, *, where: str) -> None:
    """Refuse an allow-list without a parameter that the endpoint requires: it would get none."""
    if policy.query is None or not leaf.takes(policy.answered):
        return
    required = {
        declared.alias
        for declared in leaf.declared.values()
        # Behind a guard, the endpoint gets all of the query: what it may take is in the key.
        if declared.required or policy.guarded
    }
    missing = sorted(required.difference(policy.query))
    if missing:
        takes = "takes" if policy.guarded else "requires"
        allowed = f"{', '.join(missing)} among them, which the endpoint {takes}"
        raise ConfigError.of("query", list(policy.query), allowed, where=where)


def _reading_annotations(leaf: Leaf) -> list[Annotations]:
    """What the decorators say for each reading method of the route."""
    methods = [m for m in ("GET", "HEAD", "POST", "QUERY") if leaf.takes(frozenset({m}))]
    return [annotations_of(leaf.endpoint, method) for method in methods]


def _check_policy(leaf: Leaf, policy: Policy) -> None:
    if leaf.framework and policy.guarded:
        raise ConfigError(
            f"{leaf}: guarded= works with routes of Starlette and FastAPI; expected vary_by= with "
            "a callable that returns the user or tenant of a request"
        )
    known = set(leaf.path_params) | set(leaf.declared) | set(policy.query or ())
    arguments = arguments_of(leaf.endpoint) if policy.guarded else set[str]()
    if isinstance(policy.vary_by, Template):
        _check_texts(leaf, "vary_by", (policy.vary_by,), arguments, arguments)
    known |= arguments
    key: Texts = (policy.key,) if policy.key is not None else ()
    for option, texts in (("tags", policy.tags), ("key", key)):
        _check_texts(leaf, option, texts, known, arguments)
        _check_allow_list(leaf, option, texts, policy)
    _check_one_name(leaf, key)
    _check_required(leaf, policy, where=str(leaf))
    if not leaf.takes(policy.methods):
        return
    missing = [need.what for need in leaf.needs if not need.is_keyed(policy)]
    taken = [need.name for need in leaf.needs if need.place == "value" and need.what in missing]
    if taken:
        ways_out = _GUARDED_WAYS_OUT.format(name=taken[0])
        raise ConfigError(f"{leaf} is cached and depends on {', '.join(missing)}: {ways_out}")
    if missing:
        guarded = "" if leaf.framework else _BY_A_GUARD
        ways_out = _WAYS_OUT.format(guarded=guarded, remedy=remedy(policy, leaf.needs))
        raise ConfigError(f"{leaf} is cached and depends on {', '.join(missing)}: {ways_out}")


def _check_invalidations(leaf: Leaf, named: Invalidations) -> None:
    known = set(leaf.path_params) | set(leaf.declared)
    arguments = arguments_of(leaf.endpoint)
    known |= arguments.intersection(names_of_arguments(named, leaf.endpoint))
    for option, texts in (
        ("tags", named.tags),
        ("paths", named.paths),
        ("patterns", named.patterns),
    ):
        _check_texts(leaf, option, texts, known, arguments)


def _check_names(leaf: Leaf, tree: Tree) -> None:
    for annotations in leaf_annotations(leaf):
        for name in annotations.invalidations.routes if annotations.invalidations else ():
            try:
                routes_named(tree, name)
            except InvalidationError as error:
                raise ConfigError(f"{leaf}: routes= of @invalidates: {error}") from None


def _check_texts(
    leaf: Leaf, option: str, texts: Texts, known: set[str], arguments: set[str]
) -> None:
    """Refuse a template that names an unknown parameter.

    Deliberate: a query parameter that neither the endpoint nor `query=` declares is refused, too.
    It might exist, but a misspelt one would render as nothing, and nothing would be invalidated.
    """
    for template, name in _places(texts):
        argument, _, attributes = name.partition(".")
        if name not in known and not (attributes and argument in arguments):
            raise ConfigError.of(
                option,
                template.text,
                f"places among {_shown(known | arguments)}; a query parameter "
                "that the endpoint does not declare must be in query=, anything else needs a "
                "callable",
                where=str(leaf),
            )


def _shown(names: set[str]) -> str:
    """Places as a template has them."""
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "none"


def _check_one_name(leaf: Leaf, key: Texts) -> None:
    """Refuse a list in the name: a response has one name, and a list may have several values."""
    for template, name in _places(key):
        if name in leaf.declared and leaf.declared[name].many:
            allowed = (
                f"places with one value, and {name} is a list; tags= carries one tag for each of "
                "its values"
            )
            raise ConfigError.of("key", template.text, allowed, where=str(leaf))


def _check_allow_list(leaf: Leaf, option: str, texts: Texts, policy: Policy) -> None:
    for template, name in _places(texts):
        if policy.query is None or name in leaf.path_params or policy.guarded:
            continue
        alias = leaf.declared[name].alias if name in leaf.declared else name
        if alias not in policy.query:
            raise ConfigError.of(
                option,
                template.text,
                f"query parameters among query={list(policy.query)}, which the key covers",
                where=str(leaf),
            )


def _places(texts: Texts) -> Iterator[tuple[Template, str]]:
    for text in texts:
        if isinstance(text, Template):
            yield from ((text, name) for name in text.fields)
