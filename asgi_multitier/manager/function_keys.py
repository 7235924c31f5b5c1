"""Keys and tags of a decorated function: templates, filled from the arguments of a call."""

import functools
import inspect
import re
import string
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias, get_type_hints

from ..config.templates import Template
from ..errors import ConfigError
from ..routing.endpoints import enclosed

Taken: TypeAlias = dict[str, tuple[object, ...]]
"""Which function has a key: functions by the template of their keys."""

_NAMED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)
_PLAIN = (str, int, float, bool, bytes, type(None))


class FunctionKeys:
    """The keys and tags of one function.

    Attributes:
        where: The function, for errors.
        template: The key's template.
    """

    def __init__(
        self, function: Callable[..., Any], key: str, tags: Iterable[str], taken: Taken
    ) -> None:
        """Check what can be checked now.

        Args:
            function: The function.
            key: The key's template.
            tags: The tags' templates.
            taken: The templates of other functions.

        Raises:
            ConfigError: If a template is wrong, or the key is another function's.
        """
        self.function = _unwrapped(function)
        self.where: str = f"cached({name_of(function)})"
        if not inspect.isfunction(self.function):
            allowed = "a function; write one around another callable"
            raise ConfigError.of("function", name_of(function), allowed, where=self.where)
        self.template: Template = Template(key, option="key", where=self.where)
        if isinstance(tags, str):
            raise ConfigError.of("tags", tags, "a list of templates", where=self.where)
        self._tags = tuple(Template(tag, option="tags", where=self.where) for tag in tags)
        self._tag_fields = {name for tag in self._tags for name in tag.fields}
        self._signature = inspect.signature(function, **_LENIENT)
        parameters = self._signature.parameters.values()
        known = {parameter.name for parameter in parameters if parameter.kind in _NAMED}
        templates = (self.template, *self._tags)
        for template in templates:
            if not known.issuperset(template.fields):
                names = ", ".join(sorted(known)) or "nothing"
                allowed = f"a template that names parameters of the function alone: {names}"
                raise ConfigError.of("template", template.text, allowed, where=self.where)
        self._made_with = enclosed(self.function) | {
            name: value
            for name, value in _defaults(function, self._signature).items()
            if name not in self.template.fields
        }
        self._separators = _separators(self.template, self.where)
        self._take(taken)

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, defaults included.

        Raises:
            TypeError: If the function does not take these arguments.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def key(self, arguments: Mapping[str, Any]) -> str:
        """The key for these arguments.

        Raises:
            ConfigError: If one has no text of its own.
        """
        texts = {name: text_of(arguments[name], name, self.where) for name in self.template.fields}
        if self._separators:
            texts = {name: text.translate(self._separators) for name, text in texts.items()}
        return self.template.render(texts)

    def tags(self, arguments: Mapping[str, Any]) -> list[str]:
        """The tags: one for each member of an argument that is a list, a tuple or a set.

        Raises:
            ConfigError: If one has no text of its own.
        """
        values = {name: self._members(arguments[name], name) for name in self._tag_fields}
        return list(dict.fromkeys(text for tag in self._tags for text in tag.each(values)))

    def _members(self, value: object, name: str) -> list[str]:
        members = value if isinstance(value, list | tuple | set | frozenset) else [value]
        return [text_of(member, name, self.where) for member in members]

    def returned(self) -> Any:
        """The function's return annotation, resolved; `Any` if it has none.

        No other annotation is resolved: the names in those may exist for type checkers only.

        Raises:
            ConfigError: If it cannot be resolved when the program runs.
        """
        given = inspect.get_annotations(self.function, **_LENIENT_ANNOTATIONS)
        if "return" not in given:
            return Any

        def only() -> None: ...

        only.__annotations__ = {"return": given["return"]}
        names = self.function.__globals__
        try:
            return get_type_hints(only, names, enclosed(self.function))["return"]
        except NameError as error:
            raise ConfigError(
                f"{self.where}: its return annotation cannot be resolved: {error}; expected one "
                "that can be resolved when the program runs: import its names outside of "
                "TYPE_CHECKING, and define them where the function's module sees them"
            ) from None

    def _take(self, taken: Taken) -> None:
        """Refuse a key that another function has: each would get the other's results.

        A function may be decorated again if it is the same one: with the same name, and the same
        texts and numbers from enclosing functions, as defaults, or bound by `partial`.
        """
        function = self.function
        name = f"{function.__module__}.{name_of(function)}"
        made = self._made_with.items()
        plain = tuple((key, value) for key, value in made if isinstance(value, _PLAIN))
        line = function.__code__.co_firstlineno if name.endswith("<lambda>") else 0
        mine = (name, line, plain)
        held = taken.setdefault(self.template.text, mine)
        if held == mine:
            return
        if held[:2] != mine[:2]:
            allowed = f"a key of its own; this one is that of {held[0]}"
        else:
            names = ", ".join(key for key, _ in plain)
            allowed = f"one that names {names}, which this function was made with, as a parameter"
        raise ConfigError.of("key", self.template.text, allowed, where=self.where)


if sys.version_info >= (3, 14):
    from annotationlib import Format

    _LENIENT = {"annotation_format": Format.FORWARDREF}
    _LENIENT_ANNOTATIONS = {"format": Format.FORWARDREF}
else:
    _LENIENT: dict[str, Any] = {}
    _LENIENT_ANNOTATIONS: dict[str, Any] = {}


def name_of(function: object) -> str:
    """The name of a function in errors."""
    return getattr(_unwrapped(function), "__qualname__", None) or repr(function)


def _unwrapped(function: Any) -> Any:
    """The function itself, below decorators, `partial` and methods."""
    while True:
        inner = function.func if isinstance(function, functools.partial) else None
        inner = inner or getattr(function, "__wrapped__", None)
        inner = inner or getattr(function, "__func__", None)
        if inner is None:
            return function
        function = inner


def _defaults(function: Any, signature: inspect.Signature) -> dict[str, Any]:
    """The values of parameters that a call leaves out."""
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
    if isinstance(function, functools.partial):
        inner = inspect.signature(function.func, **_LENIENT)
        defaults |= inner.bind_partial(*function.args, **function.keywords).arguments
    return defaults


def _separators(template: Template, where: str) -> dict[int, str]:
    """What is escaped in arguments: the punctuation between two placeholders of the key.

    Without any the texts of two arguments would run together, which is refused.
    """
    parts = list(string.Formatter().parse(template.text))
    between = [literal for literal, name, _, _ in parts if name is not None][1:]
    marks: set[str] = {"%"} if between else set()
    for literal in between:
        own = {mark for mark in literal if not mark.isalnum() and mark != "%"}
        if not own:
            allowed = "placeholders with punctuation between them, such as '{a}:{b}'"
            raise ConfigError.of("key", template.text, allowed, where=where)
        marks |= own
    return {ord(mark): "".join(f"%{byte:02X}" for byte in mark.encode()) for mark in marks}


_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


def text_of(value: object, name: str, where: str) -> str:
    """The text of an argument: that of `str`, with nothing left out and in one order.

    `True`, `1` and `1.0` are three texts. Deliberate: 1 and "1" are one, as they are in keys and
    tags that are written by hand or made of a URL, and that must name the same values.

    Args:
        value: The argument.
        name: The parameter's name, for the error.
        where: The function, for the error.

    Raises:
        ConfigError: If no text tells the value from all others of its class.
    """

    def part(inner: object) -> str:
        return repr(inner) if isinstance(inner, str | bytes) else text_of(inner, name, where)

    def joined(parts: Iterable[str], brackets: str) -> str:
        return brackets[0] + ", ".join(parts) + brackets[1]

    if isinstance(value, set | frozenset):
        return joined(sorted(map(part, value)), "{}")
    if isinstance(value, list | tuple):
        return joined(map(part, value), "()" if isinstance(value, tuple) else "[]")
    if isinstance(value, dict):
        return joined((f"{part(key)}: {part(item)}" for key, item in value.items()), "{}")
    if is_dataclass(value) and not isinstance(value, type):
        held = (f"{field.name}={part(getattr(value, field.name))}" for field in fields(value))
        return type(value).__qualname__ + joined(held, "()")
    text = str(value)
    if _ADDRESS.search(text) or _hides(value):
        allowed = "a value whose text says all of it, such as an id; or a key that does not name it"
        raise ConfigError.of(name, type(value).__name__, allowed, where=where)
    return text


def _hides(value: object) -> bool:
    """Whether its text may leave something out: it is a secret, or a model, which may hold one."""
    return hasattr(value, "get_secret_value") or hasattr(value, "__pydantic_fields_set__")
