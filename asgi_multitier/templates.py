"""Text with holes: `"product:{id}"`, filled from path and query parameters.

Parsed once, where the endpoint is decorated; rendered only on a miss or a mutation.
"""

import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from .errors import ConfigError

MAX_TAGS = 64
"""Tags that one response may carry."""

MAX_TAG_BYTES = 128
"""Bytes of UTF-8 in one tag."""

TextsFunction: TypeAlias = Callable[[Any], Iterable[str]]
"""Takes the request, returns texts: what a template cannot say."""

_NO_VALUES: Mapping[str, str] = {}


class Template:
    """A text whose `{name}` places are filled from parameters; `{{` and `}}` stand for braces.

    Attributes:
        text: The template as it was written.
        fields: The names of its places, in order, without repeats.
    """

    __slots__ = ("_parts", "fields", "text")

    text: str
    fields: tuple[str, ...]

    def __init__(self, text: object, *, option: str = "template", where: str = "") -> None:
        """Parse the text.

        Args:
            text: The template.
            option: The option it was given for, for the error.
            where: The route or rule, for the error.

        Raises:
            ConfigError: If it is not a text, is empty, or a place is not a plain `{name}`.
        """
        if not (isinstance(text, str) and text):
            raise ConfigError.of(option, text, "a text such as 'product:{id}'", where=where)
        try:
            pieces = list(string.Formatter().parse(text))
        except ValueError:
            pieces = [("", "", None, None)]
        if any(name is not None and (not name or spec or conv) for _, name, spec, conv in pieces):
            raise ConfigError.of(
                option, text, "plain {name} places; write {{ and }} for braces", where=where
            )
        self.text = text
        self.fields = tuple(dict.fromkeys(name for _, name, _, _ in pieces if name))
        self._parts = tuple((literal, name) for literal, name, _, _ in pieces)

    def render(self, values: Mapping[str, str] = _NO_VALUES, missing: str = "") -> str:
        """Fill the places.

        Args:
            values: The parameters by name.
            missing: What stands for one that is not there, such as a query parameter that was not
                sent and has no default.
        """
        return "".join(
            literal if name is None else literal + values.get(name, missing)
            for literal, name in self._parts
        )

    def render_glob(self, values: Mapping[str, str] = _NO_VALUES) -> str:
        """Fill the places of a pattern: a `*` or `?` inside a value becomes `?`, a missing one `*`.

        Deliberate: a client that puts a star into its URL may not widen what is dropped; `?`
        matches the star itself, so nothing that should be dropped is missed.
        """
        harmless = {name: value.replace("*", "?") for name, value in values.items()}
        return self.render(harmless, missing="*")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


Texts: TypeAlias = tuple[Template | TextsFunction, ...]
"""Templates and functions, in the order given."""


def texts_of(value: object, *, option: str, where: str = "") -> Texts:
    """What a user gave for tags, paths or patterns: one text or function, or several.

    Raises:
        ConfigError: If it is anything else, or a template is wrong.
    """
    given = [value] if isinstance(value, str | Template) or callable(value) else value
    if not isinstance(given, list | tuple | set | frozenset):
        raise ConfigError.of(
            option, value, "a text, a callable taking the request, or a list of these", where=where
        )
    return tuple(
        item
        if isinstance(item, Template) or callable(item)
        else Template(item, option=option, where=where)
        for item in given
    )


def fields_of(texts: Texts) -> set[str]:
    """The names that the templates among them take."""
    return {name for text in texts if isinstance(text, Template) for name in text.fields}


def render_texts(
    texts: Texts, values: Mapping[str, str], request: object, *, glob: bool = False
) -> list[str]:
    """Every text, functions called with the request; empty ones and repeats left out.

    Args:
        texts: Templates and functions.
        values: The parameters by name.
        request: What the functions are called with; their exceptions reach the caller.
        glob: Whether the templates are patterns (`Template.render_glob`).
    """
    rendered: list[str] = []
    for text in texts:
        if isinstance(text, Template):
            rendered.append(text.render_glob(values) if glob else text.render(values))
        else:
            found = text(request)
            rendered.extend([found] if isinstance(found, str) else found)
    return [text for text in dict.fromkeys(rendered) if text]


def within_bounds(tags: list[str]) -> bool:
    """Whether a response may carry these tags: at most 64, each at most 128 bytes.

    Deliberate: beyond that the response is not stored. A tag cut or left out would be one that no
    invalidation finds.
    """
    return len(tags) <= MAX_TAGS and all(
        len(tag.encode(errors="replace")) <= MAX_TAG_BYTES for tag in tags
    )
