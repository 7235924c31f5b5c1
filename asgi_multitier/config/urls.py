"""URLs among the settings. No message shows one: it may contain a password."""

from urllib.parse import SplitResult, urlsplit

from ..errors import ConfigError

_LONGEST_URL = 200
"""Characters of the longest `instance_url`: each instance tells it in each of its beats."""


def check_url(url: object) -> None:
    """Refuse what is no address of Redis.

    Raises:
        ConfigError: If it is none.
    """
    if url is None:
        return
    scheme = _split(url).scheme
    if scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(
            f"CacheConfig: redis_url with scheme {scheme!r} is not allowed; "
            "expected redis://, rediss:// or unix://, such as redis://127.0.0.1:6379; or None for "
            "no server (in the environment, REDIS_URL=none)"
        )


def check_instance_url(url: object) -> None:
    """Refuse what is no address at which an admin application can be shown to be reached.

    Raises:
        ConfigError: If it is none.
    """
    if url is None:
        return
    parts, text = _split(url), str(url)
    plain = parts.scheme in ("http", "https") and parts.hostname and text.isprintable()
    if not plain or "@" in text or "?" in text or len(text) > _LONGEST_URL:
        raise ConfigError(
            "CacheConfig: instance_url is not allowed; expected http:// or https:// with a host, "
            f"without user, password and query, at most {_LONGEST_URL} characters"
        )


def _split(url: object) -> SplitResult:
    """The parts of a URL; empty ones of what is none."""
    try:
        return urlsplit(url if isinstance(url, str) else "")
    except ValueError:  # an address in brackets that is none
        return urlsplit("")
