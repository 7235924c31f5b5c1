"""The exceptions of the package; `CacheError` is the base of all of them."""

from collections.abc import Iterable


class CacheError(Exception):
    """Base of every exception that this package raises itself.

    Exceptions of an application or a compute function are never wrapped: they reach the caller
    unchanged.
    """


class BackendError(CacheError):
    """A tier, a stream or the log is unreachable, or answered with an error."""


class SerializationError(CacheError):
    """A value cannot be serialized, or stored bytes cannot be restored to the requested type."""


class InvalidationError(CacheError):
    """An invalidation has a form that cannot match anything, or that is refused."""


class ConfigError(CacheError, ValueError):
    """A setting is wrong. The message names the option, the value given and what is allowed."""

    @classmethod
    def of(
        cls, option: str, value: object, allowed: str | Iterable[str], *, where: str = ""
    ) -> "ConfigError":
        """Build the message of a rejected option.

        Args:
            option: The option's name as the user wrote it.
            value: The value given.
            allowed: The accepted values: a phrase, or the names to choose from.
            where: The route, rule or object that the option belongs to.
        """
        choice = allowed if isinstance(allowed, str) else "one of " + ", ".join(sorted(allowed))
        place = f"{where}: " if where else ""
        return cls(f"{place}{option}={value!r} is not allowed; expected {choice}")
