"""Templates such as `"product:{id}"`, filled from path and query parameters.

A template is parsed once, when the endpoint is decorated, and filled only on a miss or a mutation.
"""

import inspect
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, TypeAlias

from ..errors import ConfigError, InvalidationError
from ..selectors import escape_pattern, is_short
from ..selectors.patterns import symbols

MAX_TAGS = 64
"""The most tags of one response."""

MAX_TAG_BYTES = 128
"""The most bytes of UTF-8 in one tag."""

TextsFunction: TypeAlias = Callable[[Any], Iterable[str]]
"""Takes the request and returns texts, where a template is not enough."""

MAX_FILLED = 10_000
"""The most texts from one option, when parameters have several values."""


class Template:
    """A text with `{name}` placeholders for parameters; `{{` and `}}` are literal braces.

    Attributes:
        text: The template as it was written.
        fields: The names of its placeholders, in order, without repeats.
    """

    __slots__ = ("_parts", "fields", "text")

    def __init__(self, text: object, *, option: str = "template", where: str = "") -> None:
        """Parse the text.

        Args:
            text: The template.
            option: The name of the option, for the error.
            where: The route or rule, for the error.

        Raises:
            ConfigError: If it is not a string, is empty, or a placeholder is not a plain `{name}`.
        """
        if not (isinstance(text, str) and text):
            raise ConfigError.of(option, text, "a text such as 'product:{id}'", where=where)
        try:
            pieces = list(string.Formatter().parse(text))
        except ValueError:
            pieces = [("", "", None, None)]
        if any(
            name is not None and (not _is_place(name) or spec or conv)
            for _, name, spec, conv in pieces
        ):
            raise ConfigError.of(
                option, text, "plain {name} placeholders; write {{ and }} for braces", where=where
            )
        self.text: str = text
        names = dict.fromkeys(name for _, name, _, _ in pieces if name)
        self.fields: tuple[str, ...] = tuple(names)
        self._parts = tuple((literal, name) for literal, name, _, _ in pieces)

    def render(self, values: Mapping[str, str]) -> str:
        """Fill the placeholders with the values of parameters; one without a value is empty."""
        return _filled(self._parts, values)

    def each(self, values: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Fill the placeholders, once for each combination of the parameters' values.

        A parameter without a value, such as a query parameter that was not sent and has no default,
        is empty.
        """
        for chosen in self._choices(values, ""):
            yield _filled(self._parts, chosen)

    def each_pattern(self, values: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Fill the placeholders of a pattern: values are literal, a missing value becomes `*`.

        Deliberate: a star in a client's URL must not widen what is dropped.
        """
        known = {name: values[name] for name in self.fields if name in values}
        escaped = {name: list(map(escape_pattern, texts)) for name, texts in known.items()}
        # A backslash before a placeholder must not escape the value.
        parts = tuple(("".join(symbols(literal)), name) for literal, name in self._parts)
        for chosen in self._choices(escaped, "*"):
            yield _filled(parts, chosen)

    def _choices(
        self, values: Mapping[str, Sequence[str]], missing: str
    ) -> Iterator[Mapping[str, str]]:
        texts = [values.get(name) or (missing,) for name in self.fields]
        return (dict(zip(self.fields, chosen, strict=True)) for chosen in product(*texts))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


def _is_place(name: str) -> bool:
    """Whether it names a parameter, or an attribute of an argument: `id`, `user.id`.

    No name may begin with an underscore after a dot: what it leads to is not the application's own.
    """
    argument, *attributes = name.split(".")
    return bool(argument) and all(
        part.isidentifier() and not part.startswith("_") for part in attributes
    )


def _filled(parts: Iterable[tuple[str, str | None]], values: Mapping[str, str]) -> str:
    return "".join(
        literal + ("" if name is None else values.get(name, "")) for literal, name in parts
    )


Texts: TypeAlias = tuple[Template | TextsFunction, ...]
"""Templates and functions, in the order given."""


def texts_of(value: object, *, option: str, where: str = "", takes: str = "the request") -> Texts:
    """Read the user's value for tags, paths or patterns: one string or callable, or several.

    Args:
        value: The value.
        option: The name of the option, for the error.
        where: The route or rule, for the error.
        takes: What a callable gets, for the error.

    Raises:
        ConfigError: If it is anything else, a template is invalid, or a callable is async.
    """
    given = [value] if isinstance(value, str | Template) or callable(value) else value
    if not isinstance(given, list | tuple | set | frozenset):
        raise ConfigError.of(
            option, value, f"a text, a callable taking {takes}, or a list of these", where=where
        )
    return tuple(_text_of(item, option, where) for item in given)


def _text_of(item: object, option: str, where: str) -> Template | TextsFunction:
    if isinstance(item, Template):
        return item
    if not callable(item):
        return Template(item, option=option, where=where)
    if is_async(item):
        allowed = (
            "a plain function, because it is called where nothing can be awaited; do an async "
            "lookup in the endpoint, and call await cache.invalidate_tags() there"
        )
        raise ConfigError.of(option, item, allowed, where=where)
    return item


def is_async(function: Any) -> bool:
    """Whether calling it returns an awaitable or an async iterator."""
    while isinstance(function, partial):
        function = function.func
    return any(
        kind(candidate)
        for kind in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        for candidate in (function, getattr(type(function), "__call__", None))  # noqa: B004
    )


def render_texts(
    texts: Texts, values: Mapping[str, Sequence[str]], request: object, *, pattern: bool = False
) -> list[str]:
    """Fill all templates and call all functions; empty texts and repeats are left out.

    Args:
        texts: Templates and functions.
        values: The values of each parameter by name; a template gives one text for each.
        request: The argument of the functions; their exceptions reach the caller.
        pattern: Whether the templates are patterns (`Template.each_pattern`).

    Raises:
        InvalidationError: If there are more than 10,000.
    """
    rendered: dict[str, None] = {}
    for text in texts:
        if isinstance(text, Template):
            found: Iterable[str] = text.each_pattern(values) if pattern else text.each(values)
        else:
            found = called(text, request)
        for one in found:
            rendered[one] = None
            if len(rendered) > MAX_FILLED:
                raise InvalidationError(f"{text!r} gives more than {MAX_FILLED} texts")
    rendered.pop("", None)
    return list(rendered)


def called(function: TextsFunction, request: object) -> Iterable[str]:
    """The texts that a function returns: one, or several."""
    found: Any = function(request)
    texts = [found] if isinstance(found, str) else found
    if inspect.iscoroutine(texts):
        texts.close()
    if not isinstance(texts, Iterable) or isinstance(texts, bytes):
        raise ConfigError.of("callable", found, "texts returned, by a plain function")
    texts = list(texts)
    if not all(isinstance(text, str) for text in texts):
        raise ConfigError.of("callable", found, "texts returned")
    return texts


def within_bounds(tags: Sequence[str]) -> bool:
    """Whether a response may carry these tags: at most 64, each at most 128 bytes of UTF-8.

    Deliberate: beyond that the response is not stored. If a tag were cut or left out, no
    invalidation by that tag would find the response.
    """
    return len(tags) <= MAX_TAGS and all(
        is_short(tag) and len(tag.encode()) <= MAX_TAG_BYTES for tag in tags
    )
