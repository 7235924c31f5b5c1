"""The options of stored and computed values, checked and made into a policy."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import CoroutineType
from typing import Any, Literal, TypedDict

from ..errors import ConfigError
from ..strategy import Lifetime, seconds_of
from .policy import Policy
from .readers import refuse_unknown


class StoreOptions(TypedDict, total=False):
    """Options of a stored value besides the lifetime; `Policy` has the meanings."""

    jitter: float
    stale_while_revalidate: Lifetime | None
    stale_if_error: Lifetime | None
    eager_refresh: float | None


class ComputeOptions(StoreOptions, total=False):
    """Options of a computed value; `Policy` has the meanings and the defaults.

    `hard_timeout` is for how long a caller waits: the run continues without the caller for up to
    30 s, and its result is stored. `validator` takes no arguments; that of a decorated function
    takes the function's own.
    """

    validator: Callable[[], Any] | None
    coalesce: bool | Literal["fleet"]
    coalesce_timeout: Lifetime | None
    soft_timeout: Lifetime | None
    hard_timeout: Lifetime | None


_STORE = frozenset(StoreOptions.__annotations__)
_COMPUTE = frozenset(ComputeOptions.__annotations__)


def store_policy(strategy: Lifetime, where: str, options: Mapping[str, Any]) -> Policy:
    """The policy of a stored value.

    Raises:
        ConfigError: If the lifetime or an option is not allowed.
    """
    refuse_unknown(options, _STORE, where=where)
    return _policy(strategy, where, options)


def compute_policy(strategy: Lifetime, where: str, options: Mapping[str, Any]) -> Policy:
    """The policy of a computed value, but for its validator: see `validator_of`.

    Raises:
        ConfigError: If the lifetime or an option is not allowed, or two contradict each other.
    """
    refuse_unknown(options, _COMPUTE, where=where)
    validator_of(options, where)
    # Policies are remembered; a validator is often a function made for one call.
    return _policy(strategy, where, {k: v for k, v in options.items() if k != "validator"})


def check_compute(compute: object) -> None:
    """Refuse what cannot be called where a function is to be given.

    Raises:
        ConfigError: If it cannot.
    """
    if callable(compute):
        return
    if isinstance(compute, CoroutineType):
        compute.close()  # it would warn that it was not awaited
    allowed = "a function that makes the value, without parentheses: load, or lambda: load(1)"
    raise ConfigError.of("compute", compute, allowed, where="CacheManager")


def validator_of(options: Mapping[str, Any], where: str) -> Callable[[], Any] | None:
    """The validator among the options of a computed value; None if there is none.

    Raises:
        ConfigError: If it cannot be called.
    """
    validator = options.get("validator")
    if validator is not None and not callable(validator):
        allowed = "a callable that returns the version of the data"
        raise ConfigError.of("validator", validator, allowed, where=where)
    return validator


def _policy(strategy: Lifetime, where: str, options: Mapping[str, Any]) -> Policy:
    try:
        return _made(strategy, where, **options)
    except TypeError:  # not hashable, and so not an allowed value
        return _make(strategy, where, **options)


def _make(strategy: Lifetime, where: str, **options: Any) -> Policy:
    return Policy(seconds_of(strategy, option="strategy", where=where), where=where, **options)


# Checking costs more than a hit. `typed`, since True and 1 are different values here.
_made = lru_cache(maxsize=1024, typed=True)(_make)
