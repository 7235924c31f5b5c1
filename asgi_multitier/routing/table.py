"""Which rule a request falls under, known before the application runs.

An annotation comes before a rule, unless the rule overrides it, and the first rule that matches
before the default. Afterwards the endpoint that the router really chose is compared; a difference
means that the routes have to be read again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._types import Scope
from ..config.policy import Policy
from ..config.rules import Rule
from ..events import UNROUTED
from ..policy.invalidation import is_safe
from ..selectors import Selector, alias_tag
from . import selection
from .annotations import (
    NO_ANNOTATIONS,
    Annotations,
    Stray,
    annotations_of,
    says_change,
)
from .application import ApplicationRoutes
from .checks import check, leaf_annotations, stray_annotations
from .foreign import routed
from .globs import fill_path
from .resolved import Resolved
from .routes import EMPTY, Leaf, Prediction, predict
from .security import unkeyed

_UNPREDICTED = ("custom-match", "match-error")
"""Reasons of requests whose endpoint is not predicted."""


class RouteTable(ApplicationRoutes):
    """The rules of an application's routes.

    Not thread-safe; made and used in the event loop's thread.
    """

    __slots__ = ("_default", "_overriding", "_rules")

    def __init__(
        self, app: object = None, *, rules: Sequence[Rule] = (), default: Policy | None = None
    ) -> None:
        """Find the application; its routes are read when they are first needed.

        Args:
            app: An ASGI application, or one that wraps it in `.app` again and again; one without
                routes has rules and the default only.
            rules: For what is not annotated; the first that matches counts. Those that override
                come before annotations, and before the others.
            default: For what no rule matches; None to cache none of it.
        """
        super().__init__(app)
        self._rules = tuple(rules)
        self._overriding = tuple(rule for rule in rules if rule.override)
        self._default = default

    def __repr__(self) -> str:
        known = "not read" if self._tree is None else f"{len(list(self._tree.leaves()))} routes"
        return f"RouteTable({known}, {len(self._rules)} rules, generation {self.generation})"

    @property
    def given(self) -> tuple[Sequence[Rule], Policy | None]:
        """The rules and the default."""
        return self._rules, self._default

    def check(self) -> None:
        """Validate every annotation and rule against the routes.

        Raises:
            ConfigError: See `checks.check`.
        """
        check(self.tree, self._rules, self._default)

    def stray(self) -> Stray:
        """What is marked near the application's endpoints and stands at no route of it.

        Each is named once in a process, and none where the routes are not known.
        """
        return stray_annotations(self.tree.leaves() if self._knows else ())

    # Before the application runs.

    def resolve(
        self,
        method: str,
        path: str,
        root_path: str = "",
        *,
        host: str | bytes = "",
        path_params: Mapping[str, Any] = EMPTY,
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
            found = predict(self.tree, scope)
            return self._resolved(method, self.tree.path_of(path, root_path), found)
        except Exception:  # noqa: BLE001  # a convertor or route of the application's own
            return Resolved(reason="match-error")

    def _resolved(self, method: str, path: str, found: Prediction) -> Resolved:
        """What holds for a request of this path, as the whole application sees it."""
        if not found.certain:
            return Resolved(reason="custom-match")
        leaf = found.leaf
        if leaf is None:
            policy, reason = self.policy_for(NO_ANNOTATIONS, method, path, None)
            return Resolved(reason=reason, policy=policy, label=self._label(path))
        if not found.full:
            return Resolved(reason="method", endpoint=leaf.endpoint, label=leaf.template, leaf=leaf)
        annotations = annotations_of(leaf.endpoint, method)
        policy, reason = self.policy_for(annotations, method, path, leaf)
        texts: Mapping[str, str] = {
            name: leaf.canonical(name, value) for name, value in found.path_params.items()
        }
        if all(found.path_params[name] is text for name, text in texts.items()):
            texts = found.path_params  # one object instead of two for each target
        usual = path
        if (policy is not None or not is_safe(method)) and set(leaf.path_params) <= texts.keys():
            usual = fill_path(leaf.path, texts)
        return Resolved(
            reason=reason,
            policy=policy,
            invalidations=None if is_safe(method) else annotations.invalidations,
            endpoint=leaf.endpoint,
            route=leaf.template,
            label=leaf.template,
            path_params=found.path_params,
            texts=texts,
            declared=annotations.never,
            inert=annotations.inert,
            alias=(alias_tag(usual),) if usual != path else (),
            leaf=leaf,
        )

    def policy_for(
        self, annotations: Annotations, method: str, path: str, leaf: Leaf | None
    ) -> tuple[Policy | None, str]:
        """The policy, and why it is that one or none."""
        policy, reason = self._chosen_policy(annotations, path)
        if policy is None:
            return None, reason
        if method not in policy.methods:
            return None, "method"
        if says_change(annotations, policy, method):
            return None, "invalidates"
        if leaf is not None and unkeyed(policy, leaf.needs) is not None:
            return None, "security"
        return policy, reason

    def _chosen_policy(self, annotations: Annotations, path: str) -> tuple[Policy | None, str]:
        """The endpoint's own policy, else that of the first rule that matches, else the default.

        A rule that overrides comes before the policy of the endpoint, and not before `no_cache`.
        """
        if annotations.never:
            return None, "no-cache"
        if (rule := _first(self._overriding, path)) is not None:
            return rule.policy, "rule" if rule.policy else "no-cache"
        if annotations.policy is not None:
            return annotations.policy, "annotation"
        if (rule := _first(self._rules, path)) is not None:
            return rule.policy, "rule" if rule.policy else "no-cache"
        return self._default, "default" if self._default else "no-rule"

    def _label(self, path: str) -> str:
        """What requests of a path that no route shows are counted under."""
        rule = _first(self._overriding, path) or _first(self._rules, path)
        return UNROUTED if rule is None else rule.glob

    # After it answered or raised.

    def confirms(self, resolved: Resolved, endpoint: object) -> bool:
        """Whether the router chose what was predicted.

        Args:
            resolved: What was predicted.
            endpoint: What ran (`ran`), after the application ran; None if there is none, as where
                a middleware answered, which proves nothing.
        """
        if endpoint is None or not self._knows or resolved.reason in _UNPREDICTED:
            return True
        if resolved.leaf is None and self._framework is not None:
            # Which route it has was not sure: rules decide, as they do where no routes are known.
            self.refresh()  # or it was added since
            return not annotations_of(endpoint).never
        if resolved.endpoint is not endpoint and routed(endpoint) is not None:
            # A mount on the way: what the application behind it chose, if anything, is not said.
            return True
        return resolved.endpoint is endpoint or bool(resolved.endpoint == endpoint)

    def chosen(self, resolved: Resolved, scope: Scope) -> Resolved:
        """What holds for the endpoint that had a change, which may be another than predicted.

        A layer inside of the cache may have given the router another path, and the endpoint of an
        opaque route is not predicted at all.

        Args:
            resolved: What was predicted.
            scope: The request's, after the application answered or raised.
        """
        ran = self.ran(scope)
        if ran is None:
            return resolved
        endpoint = ran.endpoint
        if endpoint == resolved.endpoint or routed(endpoint) is not None:
            return resolved
        leaves = (leaf for leaf in self.tree.leaves() if leaf.endpoint == endpoint)
        leaf = next(leaves, None)
        params = ran.path_params
        return replace(
            resolved,
            invalidations=annotations_of(endpoint, scope["method"]).invalidations,
            endpoint=endpoint,
            route=leaf.template if leaf else "",
            label=leaf.template if leaf else UNROUTED,
            path_params=params,
            texts={
                name: leaf.canonical(name, value) if leaf else str(value)
                for name, value in params.items()
            },
            leaf=leaf,
        )

    def misses(self, resolved: Resolved, scope: Scope) -> bool:
        """Whether something answered that no route shows, where routes name what they invalidate.

        So it is where a layer inside of the cache gives the router a scope of its own with another
        path: the endpoint stands in that one.
        """
        if self.ran(scope) is not None or resolved.leaf is not None:
            return False
        return any(
            annotations.invalidations is not None
            for leaf in self.tree.leaves()
            for annotations in leaf_annotations(leaf)
        )

    def answers(self, resolved: Resolved, scope: Scope, *, proven: bool) -> bool:
        """Whether an endpoint had the request, and not only a router or a middleware before it.

        Where a middleware has given the application another scope, the router's choice cannot be
        seen; then the prediction counts, as it does where no routes are known.

        Args:
            resolved: What was predicted.
            scope: The request's, after the application answered or raised.
            proven: Whether nothing but the router's own choice counts.
        """
        ran = self.ran(scope)
        if ran is not None and routed(ran.endpoint) is None:
            return True
        if self._app is None:
            return not proven
        expected = resolved.leaf is not None and resolved.reason != "method"
        return not proven and (expected or resolved.reason in _UNPREDICTED)

    def dropped_by(
        self,
        resolved: Resolved,
        values: Mapping[str, Sequence[str]],
        request: object,
        root_path: str = "",
    ) -> list[Selector]:
        """What a success of this route invalidates besides its own URL; see `selection`."""
        named = resolved.invalidations
        if named is None:
            return []
        return selection.of_success(self.tree, named, values, request, root_path)


def _first(rules: Sequence[Rule], path: str) -> Rule | None:
    return next((rule for rule in rules if rule.matches(path)), None)


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
