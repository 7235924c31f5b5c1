"""Keys and tags of values, as a caller gives them: checked, or refused with a `ConfigError`."""

from collections.abc import Iterable, Sequence

from ..config.templates import MAX_TAG_BYTES, MAX_TAGS
from ..errors import ConfigError
from ..policy.key import RESPONSE_MARK
from ..selectors import is_short

MAX_KEY = 8192
"""Bytes of UTF-8 of a key, at most."""


def checked_key(key: object) -> str:
    """The key.

    Raises:
        ConfigError: If it is no text, empty, too long or marked as a response's.
    """
    if (
        not isinstance(key, str)
        or not 0 < len(key) <= MAX_KEY
        or key[0] == RESPONSE_MARK
        or not is_short(key)
    ):
        shown = key[:80] if isinstance(key, str) else key
        allowed = f"a text of 1 to {MAX_KEY} bytes of UTF-8 that does not begin with NUL"
        raise ConfigError.of("key", shown, allowed, where="CacheManager")
    return key


def keys_of(keys: Iterable[str]) -> Sequence[str]:
    """The keys, each once, in order.

    Raises:
        ConfigError: If one is not allowed, or a single text was given.
    """
    if isinstance(keys, str):
        raise ConfigError.of("keys", keys, "several keys, such as a list", where="CacheManager")
    return list(dict.fromkeys(checked_key(key) for key in keys))


def checked_tags(tags: object, limit: int | None = MAX_TAGS) -> tuple[str, ...]:
    """The tags.

    Args:
        tags: As they were given.
        limit: How many a value may have; None if they only name what is dropped.

    Raises:
        ConfigError: If they are no texts, too many, or one is empty or too long.
    """
    allowed = f"at most {MAX_TAGS} texts of 1 to {MAX_TAG_BYTES} bytes"
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise ConfigError.of("tags", tags, allowed, where="CacheManager")
    marks = tuple(tags)
    if limit is not None and len(marks) > limit:
        raise ConfigError.of("tags", f"{len(marks)} of them", allowed, where="CacheManager")
    for tag in marks:
        sound = isinstance(tag, str) and is_short(tag)
        if not sound or not 0 < len(tag.encode()) <= MAX_TAG_BYTES:
            raise ConfigError.of("tags", tag, allowed, where="CacheManager")
    return marks
