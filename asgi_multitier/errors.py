"""The exceptions of the package: one family, so that one `except CacheError` catches all of it."""

from collections.abc import Iterable


class CacheError(Exception):
    """Base of every exception that this package raises on its own account.

    What an application or a compute function raises is never wrapped: it reaches the caller as
    it is.
    """


class BackendError(CacheError):
    """A tier, a stream or the log could not be reached or answered with an error."""


class SerializationError(CacheError):
    """A value cannot be turned into bytes, or bytes cannot be turned into the value asked for."""


class InvalidationError(CacheError):
    """An invalidation was asked for in a form that nothing can match, or one that is refused."""


class ConfigError(CacheError, ValueError):
    """A setting is wrong. The message names the option, the value given and what is allowed."""

    @classmethod
    def of(
        cls, option: str, value: object, allowed: str | Iterable[str], *, where: str = ""
    ) -> "ConfigError":
        """Build the message of a rejected option.

        Args:
            option: The option's name as the user wrote it.
            value: What was given.
            allowed: What would have been accepted: a phrase, or the names to choose from.
            where: The route, rule or object that the option belongs to.
        """
        choice = allowed if isinstance(allowed, str) else "one of " + ", ".join(sorted(allowed))
        place = f"{where}: " if where else ""
        return cls(f"{place}{option}={value!r} is not allowed; expected {choice}")
