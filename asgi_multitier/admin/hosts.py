"""Under which names the application answers, and which pages may send it something.

A page of a stranger can make its own name lead to the address of this server (DNS rebinding), and
is then of the same origin as what answers there. It sends the name as `Host`.
"""

import ipaddress
import re
from collections.abc import Iterable

from .._types import Headers
from ..errors import ConfigError
from ..policy.headers import values
from ..policy.key import host_of

_NAME = re.compile(rb"[a-z0-9._-]{1,253}|\[[0-9a-f:.]+\]")
_ORIGIN = re.compile(rb"(https?)://([^/?#@\s]+)")


class Hosts:
    """The names that are allowed besides those of this machine's own loopback.

    Args:
        names: Host names or addresses, without a port.

    Raises:
        ConfigError: If one is no host name.
    """

    def __init__(self, names: Iterable[str]) -> None:
        if isinstance(names, str):
            names = [names]
        self._names = frozenset(_checked(name) for name in names)

    def allow(self, host: bytes) -> bool:
        """Whether a `Host` field's value is one of them."""
        name = _without_port(host)
        return name in self._names or _is_loopback(name)


def only_host(headers: Headers) -> bytes | None:
    """The value of the only `Host` line; None if there is none, or several, or a broken one."""
    found = values(headers, b"host")
    return host_of(found[0], "") if len(found) == 1 else None


def is_same_origin(headers: Headers, host: bytes | None) -> bool:
    """Whether a request comes from a page of this host, or from no page at all.

    The scheme is not compared: a proxy in front may have another one.

    Args:
        headers: The request's field lines.
        host: As `only_host` gives it.
    """
    if any(site not in (b"same-origin", b"none") for site in values(headers, b"sec-fetch-site")):
        return False
    for origin in values(headers, b"origin"):
        found = _ORIGIN.fullmatch(origin.lower())
        if found is None or host is None:
            return False
        scheme, name = found[1].decode(), found[2]
        if host_of(name, scheme) != host_of(host, scheme):
            return False
    return True


def _checked(name: object) -> bytes:
    allowed = "host names or addresses without scheme and port, such as 'ops.example.org'"
    if not isinstance(name, str) or not name.isascii():
        raise ConfigError.of("hosts", name, allowed, where="CacheManager.admin")
    text = name.lower().encode()
    if b":" in text and text[:1] != b"[":
        text = b"[" + text + b"]"
    if _NAME.fullmatch(text) is None:
        raise ConfigError.of("hosts", name, allowed, where="CacheManager.admin")
    return text


def _without_port(host: bytes) -> bytes:
    if host.endswith(b"]"):
        return host
    name, colon, _ = host.rpartition(b":")
    return name if colon else host


def _is_loopback(name: bytes) -> bool:
    """Whether it is a name or an address of the machine itself: `127.evil.example` is neither."""
    if name == b"localhost":
        return True
    try:
        address = ipaddress.ip_address(name.strip(b"[]").decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
