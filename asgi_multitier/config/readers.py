"""Readers of options: each converts a value to the form that is kept, or raises `ConfigError`.

Each takes the value, the option's name and where it was given.
"""

import difflib
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from .._about import page
from ..compression import CODINGS, check_codings
from ..errors import ConfigError
from ..policy.headers import DESCRIBES_CONTENT
from ..policy.personal import is_left_out
from ..policy.tags import CACHE_TAG
from ..strategy import seconds_of
from .templates import Template, Texts, is_async, texts_of

METHODS = frozenset({"GET", "HEAD", "POST", "QUERY"})
"""Methods that a policy may name; `Policy` says which of them together."""

_CODE = re.compile("[EWI][1-9][0-9]?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A field name, RFC 9110 §5.6.2."""


def refuse_unknown(given: Iterable[str], known: Iterable[str], *, where: str) -> None:
    """Raise for the first unknown name, with the closest known one.

    Raises:
        ConfigError: If there is one.
    """
    names = sorted(known)
    for name in given:
        if name not in names:
            raise ConfigError(f"{where}: {name} is not an option; {_hint(name, names)}")


def _hint(name: str, names: list[str]) -> str:
    """What to write instead of an unknown option."""
    meant = _ELSEWHERE.get(name, "")
    if meant in names:
        return f"did you mean {meant}?"
    if name in _LIFETIMES and "jitter" in names:
        return (
            "a lifetime is given without a name: @cached(60), Rule('/products/*', 60), or as the "
            "last argument of set(key, value, 60) and get_or_compute(key, compute, 60)"
        )
    if name in _KEYS and "vary_by" in names:
        return (
            "the key is the whole URL; query= names the parameters that count, and vary=, cookies= "
            "and vary_by= add what else the response depends on"
        )
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"one of {', '.join(names)}"


_ELSEWHERE = dict.fromkeys(("url", "uri", "dsn", "host", "redis_uri", "redis_dsn"), "redis_url") | {
    "prefix": "namespace",
    "key_prefix": "namespace",
    "ignore_query": "query",
    "etag": "client_cache",
    "max_size": "l1_bytes",
    "maxsize": "l1_entries",
}
"""Options by the names that they have in other libraries."""

_LIFETIMES = frozenset(("ttl", "expire", "expires", "expiration", "timeout", "max_age", "seconds"))
_KEYS = frozenset(("key_builder", "key_func", "cache_key", "make_key"))


def read_optional_seconds(value: object, option: str, where: str) -> float | None:
    return None if value is None else seconds_of(value, option=option, where=where)


def read_optional_zero(value: object, option: str, where: str) -> float | None:
    return None if value is None else seconds_of(value, option=option, where=where, zero=True)


def read_seconds_or_boolean(value: object, option: str, where: str) -> float | bool:
    if isinstance(value, bool):
        return value
    return seconds_of(value, option=option, where=where)


def read_boolean(value: object, option: str, where: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError.of(option, value, "True or False", where=where)
    return value


def read_names(value: object, option: str, where: str) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple | set | frozenset):
        raise ConfigError.of(option, value, "a name or a list of names", where=where)
    if not all(isinstance(name, str) and name for name in given):
        raise ConfigError.of(option, value, "names that are not empty", where=where)
    ordered = sorted(given) if isinstance(given, set | frozenset) else given
    return tuple(dict.fromkeys(ordered))


def read_codes(value: object, option: str, where: str) -> tuple[str, ...]:
    names = read_names(value, option, where)
    for name in names:
        if not _CODE.fullmatch(name):
            allowed = f"codes of findings, such as 'W3' ({page('guides/explain.md#lint')})"
            raise ConfigError.of(option, name, allowed, where=where)
    return names


def read_optional_names(value: object, option: str, where: str) -> tuple[str, ...] | None:
    return None if value is None else read_names(value, option, where)


def read_tokens(value: object, option: str, where: str) -> tuple[str, ...]:
    names = read_names(value, option, where)
    for name in names:
        if not _TOKEN.fullmatch(name):
            raise ConfigError.of(option, name, "a name as RFC 9110 allows it", where=where)
    return names


def read_ignored(value: object, option: str, where: str) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    names = read_names(value, option, where)
    for name in names:
        text = name.removesuffix("*")
        if not _TOKEN.fullmatch(text) or "*" in text:
            allowed = "True for all cookies, or their names, with a star at the end for a prefix"
            raise ConfigError.of(option, name, allowed, where=where)
    return names


def read_field_names(value: object, option: str, where: str) -> tuple[bytes, ...]:
    given = [value] if isinstance(value, str | bytes) else value
    if isinstance(given, list | tuple | set | frozenset):
        given = [name.decode("latin-1") if isinstance(name, bytes) else name for name in given]
    names = read_tokens(given, option, where)
    if "*" in names:
        raise ConfigError.of(option, "*", "names of request fields", where=where)
    return tuple(dict.fromkeys(name.lower().encode("ascii") for name in names))


def read_stripped(value: object, option: str, where: str) -> tuple[bytes, ...]:
    names = read_field_names(value, option, where)
    for name in names:
        if name in DESCRIBES_CONTENT:
            allowed = "fields that are not needed to read or select the stored content"
            raise ConfigError.of(option, name.decode(), allowed, where=where)
    return names


def read_kept(value: object, option: str, where: str) -> tuple[bytes, ...]:
    names = read_field_names(value, option, where)
    for name in names:
        if name != CACHE_TAG and not is_left_out(name):
            allowed = (
                "Cache-Tag, and response fields that are left out by their names; this one is "
                "stored anyway, or has an option of its own"
            )
            raise ConfigError.of(option, name.decode(), allowed, where=where)
    return names


def read_codings(value: object, option: str, where: str) -> tuple[bytes, ...]:
    """Codings in the order of preference; True for all, False or nothing for none."""
    if isinstance(value, bool):
        codings = CODINGS if value else ()
    else:
        given = [value] if isinstance(value, str | bytes) else value
        listed: list[Any] = [*given] if isinstance(given, list | tuple) else [None]
        codings = tuple(one.encode() if isinstance(one, str) else one for one in listed)
    if not set(codings) <= set(CODINGS):
        known = ", ".join(coding.decode() for coding in CODINGS)
        allowed = f"True, False, or some of {known}, the preferred one first"
        raise ConfigError.of(option, value, allowed, where=where)
    check_codings(codings, option=option, where=where)
    return tuple(dict.fromkeys(codings))


def read_function(value: object, option: str, where: str) -> Callable[..., Any] | None:
    if value is not None and not callable(value):
        raise ConfigError.of(option, value, "a callable that takes the request", where=where)
    return cast("Callable[..., Any] | None", value)


def read_enabled(value: object, option: str, where: str) -> bool | Callable[[], Any]:
    if isinstance(value, bool):
        return value
    if not callable(value) or is_async(value) or not _takes_nothing(value):
        allowed = (
            "True, False, or a plain function without arguments; "
            "when= takes a function of the request"
        )
        raise ConfigError.of(option, value, allowed, where=where)
    return value


def _takes_nothing(function: Callable[..., Any]) -> bool:
    """Whether it can be called without arguments, as far as that can be seen."""
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:
        pass  # of some functions of C the signature is not known
    return True


def read_partition(
    value: object, option: str, where: str
) -> "Callable[..., Any] | Template | None":
    """A callable, or a template over the arguments of a guarded endpoint."""
    if isinstance(value, str | Template):
        template = read_template(value, option, where)
        if template is not None and not template.fields:
            allowed = "at least one place such as {user.id}, which separates the users"
            raise ConfigError.of(option, value, allowed, where=where)
        return template
    return read_function(value, option, where)


def _boolean_or(word: str) -> Callable[[Any, str, str], Any]:
    def read(value: Any, option: str, where: str) -> Any:
        if value is not True and value is not False and value != word:
            raise ConfigError.of(option, value, f"True, False or {word!r}", where=where)
        return value

    return read


read_guarded: Final = _boolean_or("shared")
read_body: Final = _boolean_or("json")
read_coalesce: Final = _boolean_or("fleet")


def read_bytes(value: object, option: str, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError.of(option, value, "a number of bytes, at least 1", where=where)
    return value


def read_template(value: object, option: str, where: str) -> Template | None:
    if value is None or isinstance(value, Template):
        return value
    return Template(value, option=option, where=where)


def read_texts(value: object, option: str, where: str) -> Texts:
    return texts_of(value, option=option, where=where)


def read_methods(value: object, option: str, where: str) -> frozenset[str]:
    methods = frozenset(name.upper() for name in read_names(value, option, where))
    if not methods or not methods <= METHODS:
        raise ConfigError.of(option, value, METHODS, where=where)
    return methods


def read_share(value: object, option: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ConfigError.of(
            option, value, "a share of the lifetime, from 0 to below 1", where=where
        )
    return float(value)


def read_optional_share(value: object, option: str, where: str) -> float | None:
    share = None if value is None else read_share(value, option, where)
    if share == 0:
        raise ConfigError.of(option, value, "a share above 0, or None for never", where=where)
    return share
