"""The arguments of the middleware: which there are, and what may be given."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from ..config.policy import Policy
from ..config.process import Settings
from ..config.rules import Rule
from ..errors import ConfigError
from ..manager.manager import CacheManager
from .refusing import refuse

_WHERE: Final = "CacheMiddleware"

_MANAGER = "None, or an object such as CacheManager(redis_url='redis://127.0.0.1:6379')"
_RULES = "a list of rules, such as [Rule('/products/*', 60)]"
_DEFAULT = "None, or a Policy such as Policy.from_origin()"

_MEANT: Final = {"manager": "cache", "cache_manager": "cache", "policy": "default"}
"""Options by names that they might have."""


class NamedOptions:
    """Refuses an argument by a name that there is not, as Python does, and says what to write.

    A framework makes its middleware when it starts, far from where the name stands. Type checkers
    and editors see the names of the subclass alone.
    """

    if not TYPE_CHECKING:

        def __new__(cls, *_: Any, **given: Any) -> Self:
            """An object of the subclass; see there."""
            made = super().__new__(cls)
            parameters = inspect.signature(cls.__init__).parameters
            if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
                try:
                    _refuse_unknown(given, [name for name in parameters if name not in _OWN])
                except ConfigError as error:
                    refuse(made, error)
            return made


_OWN: Final = ("self", "app")


def _refuse_unknown(given: dict[str, Any], known: list[str]) -> None:
    for name in given:
        if name in known or name in _OWN:
            continue
        if name in Settings.__annotations__ or name in ("redis", "sqlite"):
            hint = f"write cache=CacheManager({name}=...)"
        elif name in _MEANT:
            hint = f"did you mean {_MEANT[name]}?"
        else:
            hint = f"one of {', '.join(known)}"
        raise ConfigError(f"{_WHERE}: {name} is not an option; {hint}")


def check_arguments(cache: object, rules: object, default: object, warm: object) -> None:
    """Refuse arguments of a wrong kind, and those that contradict each other.

    Raises:
        ConfigError: For the first that is.
    """
    where = _WHERE
    if cache is not None and warm is not None:
        allowed = f"None where there is a manager; write CacheManager(warm={warm!r})"
        raise ConfigError.of("warm", warm, allowed, where=where)
    if cache is not None and not isinstance(cache, CacheManager):
        raise ConfigError.of("cache", cache, _MANAGER, where=where)
    if isinstance(rules, str | bytes) or not isinstance(rules, Sequence):
        raise ConfigError.of("rules", rules, _RULES, where=where)
    for rule in rules:
        if not isinstance(rule, Rule):
            raise ConfigError.of("rules", rule, _RULES, where=where)
    if default is not None and not isinstance(default, Policy):
        raise ConfigError.of("default", default, _DEFAULT, where=where)
    if default is not None and default.body:
        allowed = "a Policy without body=, which is for single routes: @cached or a Rule"
        raise ConfigError.of("default", default, allowed, where=where)
    if default is not None and default.guarded:
        allowed = "a Policy without guarded=, which only @cached on an endpoint can have"
        raise ConfigError.of("default", default, allowed, where=where)
