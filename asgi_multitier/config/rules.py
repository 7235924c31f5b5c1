"""Rule: a policy for paths; Invalidations: what a successful unsafe request invalidates."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Unpack

from ..errors import ConfigError, InvalidationError
from ..selectors import check_glob, glob_matches
from ..strategy import CacheStrategy, Lifetime
from .policy import Policy, PolicyOptions, policy_of
from .readers import read_boolean
from .templates import Texts


@dataclass(frozen=True, slots=True, init=False)
class Rule:
    """A policy for every path that a glob matches, for endpoints that cannot be annotated.

    Attributes:
        glob: A pattern of `*` (any run of characters, `/` included) and `?`, matched against the
            whole path as the application sees it.
        policy: What holds there; None if these paths are never cached.
        override: Whether it comes before the annotations of endpoints, except `no_cache`, and
            before the rules without it.
    """

    glob: str
    policy: Policy | None
    override: bool

    def __init__(
        self,
        glob: str,
        strategy: Lifetime | Policy | None = CacheStrategy.DEFAULT,
        *,
        override: bool = False,
        **options: Unpack[PolicyOptions],
    ) -> None:
        """Check the glob and the policy.

        Args:
            glob: Begins with `/` or `*`; at most 256 characters and 8 stars.
            strategy: A lifetime, a whole policy, or None for "never cache these".
            override: Whether it holds for annotated endpoints as well, in place of their `cached`.
            **options: As for `cached`.

        Raises:
            ConfigError: If the glob or an option is not allowed.
        """
        where = f"Rule({glob!r})"
        glob = str(glob)
        if not glob.startswith(("/", "*")):
            raise ConfigError.of("glob", glob, "a pattern that begins with '/' or '*'", where=where)
        try:
            check_glob(glob)
        except InvalidationError as error:
            raise ConfigError(f"{where}: {error}") from None
        if strategy is None and options:
            raise ConfigError.of(
                "strategy", None, "a lifetime or a Policy where options are given", where=where
            )
        object.__setattr__(self, "glob", glob)
        policy = None if strategy is None else policy_of(strategy, where=where, **options)
        if policy is not None and policy.guarded:
            allowed = "False: only @cached(guarded=...) on the endpoint can stand behind its guard"
            raise ConfigError.of("guarded", policy.guarded, allowed, where=where)
        object.__setattr__(self, "policy", policy)
        object.__setattr__(self, "override", read_boolean(override, "override", where))

    def matches(self, path: str) -> bool:
        """Whether the rule is for this path."""
        return glob_matches(self.glob, path)


@dataclass(frozen=True, slots=True)
class Invalidations:
    """What a successful unsafe request of a route invalidates besides its own URL.

    Attributes:
        tags: Templates and functions of tags.
        paths: Templates and functions of paths, as the application sees them, with every query.
        routes: Names or endpoints of routes: all their responses.
        patterns: Templates and functions of globs over paths and names.
        settle: Seconds for which what is invalidated is not stored again, for origins that read
            from a replica that may lag so long.
        lint_ignore: Codes of findings that a lint of the routes leaves out here.
    """

    tags: Texts = ()
    paths: Texts = ()
    routes: tuple[str | Callable[..., Any], ...] = ()
    patterns: Texts = ()
    settle: float = 0.0
    lint_ignore: tuple[str, ...] = ()

    def __add__(self, other: "Invalidations") -> "Invalidations":
        return Invalidations(
            tags=self.tags + other.tags,
            paths=self.paths + other.paths,
            routes=self.routes + other.routes,
            patterns=self.patterns + other.patterns,
            settle=max(self.settle, other.settle),
            lint_ignore=self.lint_ignore + other.lint_ignore,
        )
