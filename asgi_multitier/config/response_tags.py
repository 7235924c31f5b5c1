"""Tags that are read out of a response, by templates over its JSON or by functions of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from .._types import Headers
from ..errors import ConfigError
from ..policy.coding import decoded
from ..policy.headers import combined
from .templates import MAX_TAGS, Template, Texts, called, texts_of


class FieldMap(Mapping[str, str]):
    """The fields of a response by name, in any case; lines of one name are joined by commas.

    Attributes:
        lines: The field lines, lower-case names.
    """

    def __init__(self, lines: Headers) -> None:
        self.lines = lines

    def __getitem__(self, name: str) -> str:
        value = combined(self.lines, name.lower().encode("latin-1", "replace"))
        if value is None:
            raise KeyError(name)
        return value.decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1") for name, _ in self.lines))

    def __len__(self) -> int:
        return len({name for name, _ in self.lines})

    def __repr__(self) -> str:
        return f"FieldMap({dict(self)!r})"


@dataclass(frozen=True)
class ResponseView:
    """A response as the functions of `tags_from` see it.

    Attributes:
        status: The status code.
        headers: The fields that are stored.
        body: The content as the application sent it, with any content coding.
    """

    status: int
    headers: FieldMap
    body: bytes

    def json(self) -> Any:
        """The content, decompressed and read as JSON.

        Raises:
            ValueError: If it is no JSON, or compressed in another way than by gzip or deflate.
        """
        return self._json

    @cached_property
    def _json(self) -> Any:
        return orjson.loads(decoded(self.headers.lines, self.body))


def read_tags_from(value: object, option: str, where: str) -> Texts:
    """Templates over the members of a JSON response, and functions of the response.

    Raises:
        ConfigError: If it is anything else, or a template is the same for all responses.
    """
    texts = texts_of(value, option=option, where=where, takes="the response")
    for text in texts:
        if isinstance(text, Template) and not text.fields:
            allowed = "a place such as product:{id}; a tag without one belongs in tags="
            raise ConfigError.of(option, text.text, allowed, where=where)
    return texts


def tags_of_response(texts: Texts, status: int, headers: Headers, body: bytes) -> list[str]:
    """The tags that a response has by its content; more than 64 are cut off at the 65th.

    A template gives one tag for each value; none where a member is null or an empty list.

    Args:
        texts: Of `tags_from`.
        status: The status code.
        headers: The field lines to store.
        body: The content.

    Raises:
        ValueError: If a template is given and the content is no JSON.
        LookupError: If it lacks a member that a template names.
        Exception: What a function raises.
    """
    view = ResponseView(status, FieldMap(headers), body)
    found: dict[str, None] = {}
    for text in texts:
        for tag in _filled(text, view) if isinstance(text, Template) else called(text, view):
            found[tag] = None
            if len(found) > MAX_TAGS:
                return list(found)
    return list(found)


def _filled(template: Template, view: ResponseView) -> Iterator[str]:
    values = {name: list(_members(view.json(), name)) for name in template.fields}
    return template.each(values) if all(values.values()) else iter(())


def _members(value: Any, name: str) -> Iterator[str]:
    """The texts of a member, such as `author.id`; of each element where there is a list."""
    if isinstance(value, list):
        for element in value:
            yield from _members(element, name)
    elif name:
        member, _, rest = name.partition(".")
        if not isinstance(value, dict) or member not in value:
            raise LookupError(f"the response has no JSON member {member!r}")
        yield from _members(value[member], rest)
    elif isinstance(value, dict):
        raise LookupError("a JSON object is no text of a tag")
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif value is not None:
        yield str(value)
