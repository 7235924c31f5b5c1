"""Addresses, as in `REDIS_URL`: their options, and what is wrong with them."""

import inspect
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio.connection import URL_QUERY_ARGUMENT_PARSERS, ConnectionPool, SSLConnection

from ..errors import ConfigError

_SCHEMES = ("redis", "rediss", "unix")
_FORMS = "redis://[user:password@]host[:port][/db], rediss://... or unix://path"

_THEIRS = frozenset({"client_name", "db", "password", "socket_read_size", "username"})
"""Options that are kept."""

_OURS = frozenset(
    {
        "decode_responses",
        "encoding",
        "encoding_errors",
        "health_check_interval",
        "legacy_responses",
        "max_connections",
        "protocol",
        "retry_on_timeout",
        "single_connection_client",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_timeout",
        "timeout",
    }
)
"""Options that are accepted for other programs' sake and ignored: the cache sets its own."""

_TLS = frozenset(
    name for name in inspect.signature(SSLConnection.__init__).parameters if name[:4] == "ssl_"
)

_SECRET = ("pass", "secret", "token", "credential")
"""Parts of the names of options whose values are not repeated in messages."""

_EXPECTED = {
    "float": "a number",
    "int": "a whole number",
    "parse_ssl_verify_flags": "names of ssl.VerifyFlags, with commas between them",
}


def read_address(url: str) -> ConnectionPool:
    """The settings of an address, as an unused pool.

    Raises:
        ConfigError: If it is not an address, or has an unknown or invalid option. The message does
            not repeat a password.
    """
    if objection := _objection(url):
        raise ConfigError(f"redis_url is not an address: {objection}; expected {_FORMS}")
    parts = urlsplit(url)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        _check(parts, name, value)
    database = unquote(parts.path).strip("/")
    if parts.scheme != "unix" and database and not _is_number(database):
        raise _refused("database", database, "a whole number after the last /", parts)
    try:
        return ConnectionPool.from_url(url)
    except ValueError:
        raise ConfigError(f"redis_url is not an address; expected {_FORMS}") from None


def _objection(url: str) -> str:
    """Why a text is no address, without a part of it that may be a password; "" if it is one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "its host cannot be read"
    if parts.scheme not in _SCHEMES:
        return "it does not begin with redis://, rediss:// or unix://"
    if not url[len(parts.scheme) :].startswith("://"):
        return f"{parts.scheme}: is not followed by //"
    try:
        port = parts.port
    except ValueError:
        port = 0
    return "its port is not a number from 1 to 65535" if port == 0 else ""


def place_of(url: str) -> str:
    """An address without credentials and options."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _check(parts: SplitResult, name: str, value: str) -> None:
    if name in _TLS:
        if parts.scheme != "rediss":
            raise _refused(name, value, "an address with rediss://, which is encrypted", parts)
    elif name not in _THEIRS | _OURS:
        known = sorted(_THEIRS | _OURS | (_TLS if parts.scheme == "rediss" else frozenset()))
        allowed = f"one of the options {', '.join(known)}; anything else needs a client of "
        allowed += "redis.asyncio, given as CacheManager(redis=...)"
        raise _refused(name, value, allowed, parts)
    if not value:
        raise _refused(name, value, "a value, or the option left out", parts)
    parse = URL_QUERY_ARGUMENT_PARSERS.get(name)
    if name == "db" and not _is_number(value):
        raise _refused(name, value, "a whole number from 0", parts)
    if parse is None:
        return
    try:
        parse(value)
    except (TypeError, ValueError):
        expected = _EXPECTED.get(getattr(parse, "__name__", ""), "another value")
        raise _refused(name, value, expected, parts) from None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _refused(name: str, value: str, allowed: str, parts: SplitResult) -> ConfigError:
    shown = "..." if any(word in name.lower() for word in _SECRET) else value
    place = f"redis_url {parts.scheme}://{parts.hostname or ''}"
    return ConfigError.of(name, shown, allowed, where=place)
