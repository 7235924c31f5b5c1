"""What is to be dropped, as it is written in JSON: one grammar for all that drop by hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import CacheError, ConfigError
from ..selectors import Selector
from ..strategy import seconds_of
from .others import on_host
from .reading import truth
from .replies import Refusal, wrong

MAX_NAMED = 500
"""What one request may name."""

MAX_WAIT = 10.0
"""Seconds that one request may wait for other instances."""

_LISTS = ("keys", "tags", "paths", "below", "patterns")
_BROAD = ("below", "patterns", "routes", "all")
"""What may drop more than the person who writes it thinks of."""

NAMES = frozenset((*_LISTS, "routes", "all", "confirm", "dry_run", "settle", "wait", "scope"))


class Naming(Protocol):
    """What knows the routes and the rules for keys: `CacheManager`."""

    @property
    def namespace(self) -> str:
        """What separates it from others."""

    @property
    def named(self) -> Callable[..., list[Selector]]:
        """The selectors of what is named."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be dropped.

    Attributes:
        selectors: Each once.
        dry_run: Whether it is only counted.
        settle: Seconds for which what is dropped is not stored again.
        wait: Seconds to wait until other instances have seen it.
        on_host: Whether the other workers of this machine count as well.
    """

    selectors: tuple[Selector, ...]
    dry_run: bool
    settle: float
    wait: float
    on_host: bool


def wanted(given: Mapping[str, Any], cache: Naming) -> Wanted:
    """Read what is to be dropped.

    Args:
        given: Lists `keys`, `tags`, `paths`, `below` (paths, with all below them), `patterns` and
            `routes` (a name or path template, or an object with `name` and `params`); `all`, with
            the namespace as `confirm`; `dry_run`, by default where it is broad; `settle`, `wait`;
            `scope`, of a dry run.
        cache: Whose entries they are.

    Raises:
        Refusal: 422, with the field that is not allowed, and what is.
    """
    lists = {name: _texts(given, name) for name in _LISTS}
    routes = [_route(item) for item in _list(given, "routes")]
    count = sum(map(len, lists.values())) + len(routes)
    everything = truth(given, "all", default=False)
    if count > MAX_NAMED:
        raise wrong("", f"{count} are named at once", f"at most {MAX_NAMED}")
    if everything and given.get("confirm") != cache.namespace:
        detail = "all= drops everything of the namespace, whose name is expected as confirmation"
        raise wrong("confirm", detail, cache.namespace)
    if not (count or everything):
        raise wrong("", "nothing is named", f"some of {', '.join((*_LISTS, 'routes', 'all'))}")
    selectors = [Selector("all", "")] if everything else []
    for name, texts in lists.items():
        selectors += _checked(name, cache, texts)
    selectors += _checked("routes", cache, routes)
    broad = any(given.get(name) for name in _BROAD)
    return Wanted(
        tuple(dict.fromkeys(selectors)),
        truth(given, "dry_run", default=broad),
        _seconds(given, "settle", None),
        _seconds(given, "wait", MAX_WAIT),
        on_host(given),
    )


def _checked(name: str, cache: Naming, given: Sequence[Any]) -> list[Selector]:
    try:
        return cache.named(**{name: given})
    except CacheError as error:
        raise wrong(name, str(error)) from None


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    found = given.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise wrong(name, f"{name} is no list", "a list")
    return found


def _texts(given: Mapping[str, Any], name: str) -> list[str]:
    found = _list(given, name)
    if not all(isinstance(text, str) and text for text in found):
        raise wrong(name, f"{name} holds something else than texts", "a list of texts")
    return found


_SHAPE = "a route's name or path template, or {'name': ..., 'params': {...}}"


def _route(item: Any) -> tuple[str, dict[str, str]]:
    if isinstance(item, str) and item:
        return item, {}
    if not isinstance(item, dict) or item.keys() - {"name", "params"}:
        raise wrong("routes", "this names no route", _SHAPE)
    name, params = item.get("name"), item.get("params", {})
    fits = isinstance(name, str) and name and isinstance(params, dict)
    if not fits or not all(isinstance(value, str | int | float) for value in params.values()):
        raise wrong("routes", "this names no route", _SHAPE)
    return str(name), {param: str(value) for param, value in params.items()}


def _seconds(given: Mapping[str, Any], name: str, most: float | None) -> float:
    found = given.get(name)
    if found is None:
        return 0.0
    allowed = "seconds from 0" if most is None else f"seconds from 0 to {most:g}"
    try:
        seconds = seconds_of(found, option=name, where="invalidate", zero=True)
    except ConfigError as error:
        raise wrong(name, str(error), allowed) from None
    if most is not None and seconds > most:
        raise wrong(name, f"{name}={found} is not allowed", allowed)
    return seconds


def refused(error: CacheError) -> Refusal:
    """What an error of the cache, because of what was asked, is to the client."""
    return wrong("", str(error))
