"""Endpoints whose arguments say what a change invalidates, such as `"sku:{item.sku}"`.

What a text is filled from is read before the body runs and after it: the body may set it, as an
insert sets a number, or it may be gone by then. The values are kept as texts; objects of a database
cannot be read any more when their session has ended.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import msgspec

from ..config.rules import Invalidations
from ..config.templates import Template
from ..errors import ConfigError
from .arguments import Missing, is_of_argument, text_value
from .endpoints import Call, around


class Changes(msgspec.Struct, eq=False):
    """What the arguments of one request's endpoint say.

    Attributes:
        values: The texts of each name in a template: before the body, and after it.
        error: Why a name has none, if one has none.
    """

    values: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    error: Missing | None = None

    def read(self, names: Sequence[str], call: Call, *, last: bool) -> None:
        """Read the values of these names."""
        arguments = call.arguments()
        for name in names:
            try:
                text = text_value(name, arguments)
            except Missing as error:
                if last and name not in self.values:
                    self.error = error
            else:
                self.values[name] = tuple(dict.fromkeys((*self.values.get(name, ()), text)))


changes: ContextVar[Changes | None] = ContextVar("asgi_multitier_changes", default=None)
"""Where the endpoint of the request under way says what it changes."""


def reporting(endpoint: Callable[..., Any], named: Invalidations, *, where: str) -> Any:
    """Put a function around an endpoint that reads its arguments, where a template names some.

    Args:
        endpoint: The endpoint.
        named: What `@invalidates` names.
        where: The decorator and the endpoint, for errors.

    Raises:
        ConfigError: If a template names an attribute of an argument, and it is no plain function.
    """
    names = names_of_arguments(named, endpoint)
    if not names:
        return endpoint
    generates = inspect.isasyncgenfunction(endpoint) or inspect.isgeneratorfunction(endpoint)
    if not inspect.isfunction(endpoint) or generates:
        allowed = (
            "a callable that takes the request, as only a plain function's arguments are known"
        )
        raise ConfigError.of("template", "{" + names[0] + "}", allowed, where=where)

    async def changing(*args: Any, **kwargs: Any) -> Any:
        with _reading(names, Call(endpoint, args, kwargs)):
            return await endpoint(*args, **kwargs)

    def changing_in_thread(*args: Any, **kwargs: Any) -> Any:
        with _reading(names, Call(endpoint, args, kwargs)):
            return endpoint(*args, **kwargs)

    called = changing if inspect.iscoroutinefunction(endpoint) else changing_in_thread
    return around(endpoint, called, asks=False)


@contextmanager
def _reading(names: Sequence[str], call: Call) -> Iterator[None]:
    """Read the arguments before the body inside and, unless it raises, after it."""
    noted = changes.get()
    if noted is not None:
        noted.read(names, call, last=False)
    yield
    if noted is not None:
        noted.read(names, call, last=True)


def names_of_arguments(named: Invalidations, endpoint: Any) -> tuple[str, ...]:
    """The names in templates that arguments fill, not the URL."""
    texts = (*named.tags, *named.paths, *named.patterns)
    fields = [field for text in texts if isinstance(text, Template) for field in text.fields]
    return tuple(dict.fromkeys(field for field in fields if is_of_argument(field, endpoint)))


def without_unread(named: Invalidations, unread: frozenset[str]) -> Invalidations:
    """What is named, without the templates over arguments that were not read."""

    def read(texts: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            text
            for text in texts
            if not isinstance(text, Template) or unread.isdisjoint(text.fields)
        )

    tags, paths, patterns = map(read, (named.tags, named.paths, named.patterns))
    return replace(named, tags=tags, paths=paths, patterns=patterns)
