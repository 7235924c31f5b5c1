"""Async functions whose results are kept: what `CacheManager.cached` makes."""

import inspect
import string
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial, update_wrapper
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, get_type_hints

from .errors import ConfigError
from .options import refuse_unknown
from .strategy import Lifetime
from .templates import Template
from .values import ComputeOptions, compute_policy

if TYPE_CHECKING:
    from .manager import CacheManager

P = ParamSpec("P")
T = TypeVar("T")

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class CachedFunction(Generic[P, T]):
    """An async function that is asked only where the cache has no fresh result.

    Called as the function itself. Results from the cache are read as what the function's return
    annotation says; without one, as plain objects. Arguments that the key does not name do not
    separate results. Where it names several, a separator inside of an argument is escaped, so that
    no two argument lists share a key.
    """

    def __init__(
        self,
        cache: "CacheManager",
        function: Callable[P, Awaitable[T]],
        key: str,
        strategy: Lifetime,
        tags: Iterable[str],
        options: ComputeOptions,
    ) -> None:
        """Check everything that can be. See `CacheManager.cached`.

        Raises:
            ConfigError: If the function is not async, or a template or an option is wrong.
        """
        name = getattr(function, "__qualname__", repr(function))
        where = f"cached({name})"
        if not inspect.iscoroutinefunction(function):
            raise ConfigError.of("function", name, "an async function", where=where)
        compute_policy(strategy, where, options)
        self._cache = cache
        self._function = function
        self._strategy = strategy
        self._options = options
        self._signature = inspect.signature(function)
        self._template = Template(key, option="key", where=where)
        if isinstance(tags, str):
            raise ConfigError.of("tags", tags, "a list of templates", where=where)
        self._tags = tuple(Template(tag, option="tags", where=where) for tag in tags)
        parameters = self._signature.parameters.values()
        known = [parameter.name for parameter in parameters if parameter.kind in _NAMED]
        for template in (self._template, *self._tags):
            refuse_unknown(template.fields, known, where=f"{where}: {template.text!r}")
        self._separators = _separators(self._template, where)
        self._type: Any = None
        self._type_known = False
        update_wrapper(cast("Any", self), function)

    def __repr__(self) -> str:
        return f"<CachedFunction {self._template.text!r}>"

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result; see `CacheManager.get_or_compute`."""
        texts = self._texts(args, kwargs)
        value: T = await self._cache.get_or_compute_typed(
            self._key(texts),
            self._return_type(),
            partial(self._function, *args, **kwargs),
            self._strategy,
            tags=[tag.render(texts) for tag in self._tags],
            **self._options,
        )
        return value

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of the result for these arguments."""
        return self._key(self._texts(args, kwargs))

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Drop the result for these arguments, everywhere. See `CacheManager.invalidate`."""
        return await self._cache.invalidate(self._key(self._texts(args, kwargs)))

    def _texts(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, str]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        wanted = {name for template in (self._template, *self._tags) for name in template.fields}
        return {name: str(bound.arguments[name]) for name in wanted}

    def _key(self, texts: Mapping[str, str]) -> str:
        if not self._separators:
            return self._template.render(texts)
        return self._template.render(
            {name: text.translate(self._separators) for name, text in texts.items()}
        )

    def _return_type(self) -> Any:
        """What stored results are read as; looked up late, since it may be defined late."""
        if not self._type_known:
            self._type = get_type_hints(self._function).get("return", Any)
            self._type_known = True
        return self._type


def _separators(template: Template, where: str) -> dict[int, str]:
    """What is escaped in arguments: the punctuation that stands between two places of the key.

    Raises:
        ConfigError: If two places have no punctuation between them: their texts would run together.
    """
    parts = list(string.Formatter().parse(template.text))
    between = [literal for literal, name, _, _ in parts if name is not None][1:]
    marks: set[str] = {"%"} if between else set()
    for literal in between:
        own = {mark for mark in literal if not mark.isalnum() and mark != "%"}
        if not own:
            allowed = "places with punctuation between them, such as '{a}:{b}'"
            raise ConfigError.of("key", template.text, allowed, where=where)
        marks |= own
    return {ord(mark): "".join(f"%{byte:02X}" for byte in mark.encode()) for mark in marks}
