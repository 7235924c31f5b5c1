"""What a warm-up asks for: targets as users write them, checked before the first is asked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import msgspec

from .._types import Headers
from ..errors import ConfigError
from ..policy.headers import invalid_reason, normalised
from ..policy.key import host_of, target_is_plain

HeadersOption: TypeAlias = (
    Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
)
TargetOption: TypeAlias = str | tuple[str, HeadersOption]
"""A path with its query, or a URL; or one of them with request fields."""

_WHERE = "CacheManager.warm"
_HOST = b"host"


class Origin(NamedTuple):
    """What clients ask besides the path: each part is in the key of a response.

    Attributes:
        scheme: `http` or `https`.
        host: The host with its port, as in `Host`.
        root_path: Where the server says that the application is mounted.
        proxied: The request fields of a reverse proxy from which applications build URLs, such as
            `x-forwarded-proto`, lower-case.
    """

    scheme: str
    host: bytes
    root_path: str = ""
    proxied: Headers = ()


class Target(msgspec.Struct, frozen=True):
    """One GET of a warm-up.

    Attributes:
        origin: Where it is asked for.
        raw_path: The path as clients send it.
        query: The query as they send it.
        headers: Request fields besides `Host`, lower-case.
    """

    origin: Origin
    raw_path: bytes
    query: bytes = b""
    headers: Headers = ()

    @property
    def url(self) -> str:
        """The URL, for people."""
        query = b"?" + self.query if self.query else b""
        text = self.origin.host + self.raw_path + query
        return f"{self.origin.scheme}://{text.decode('latin-1')}"


def read_targets(
    given: Iterable[TargetOption], base_url: str | None, known: Sequence[Origin]
) -> list[Target]:
    """The targets that a user has given.

    Args:
        given: Paths, URLs, or pairs of one of them and request fields.
        base_url: The origin of paths; None for the first that is known.
        known: The origins that clients of this process have used, the most frequent first.

    Raises:
        ConfigError: For the first that is wrong.
    """
    base = _base(base_url, known) if base_url is not None else next(iter(known), None)
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        allowed = "a list of paths, URLs, or pairs of one of them and its request fields"
        raise ConfigError.of("targets", given, allowed, where=_WHERE)
    return [_target(one, base, known) for one in given]


def _base(url: object, known: Sequence[Origin]) -> Origin:
    allowed = "the scheme and the host that clients use, such as 'https://shop.example'"
    wrong = ConfigError.of("base_url", url, allowed, where=_WHERE)
    if not isinstance(url, str) or not url.lower().startswith(("http:", "https:")):
        raise wrong
    origin, raw_path, query = _split(url, wrong)
    if raw_path != b"/" or query:
        raise wrong
    return _as_known(origin, known)


def _as_known(origin: Origin, known: Sequence[Origin]) -> Origin:
    """The origin of a URL with what clients use with it besides."""
    return next((one for one in known if one[:2] == origin[:2]), origin)


def _target(given: object, base: Origin | None, known: Sequence[Origin]) -> Target:
    url, fields = given, ()
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        if len(given) != 2:
            allowed = "a path, a URL, or a pair of one of them and its request fields"
            raise ConfigError.of("targets", given, allowed, where=_WHERE)
        url, fields = given
    allowed = (
        "a path that begins with '/', or a URL with http:// or https://, as clients send it: "
        "percent-encoded, without a fragment"
    )
    wrong = ConfigError.of("targets", url, allowed, where=_WHERE)
    if not isinstance(url, str):
        raise wrong
    headers = _headers(fields)
    if not url.startswith("/"):
        origin, raw_path, query = _split(url, wrong)
        return Target(_as_known(origin, known), raw_path, query, headers)
    if base is None:
        allowed = (
            "base_url='https://shop.example' as well, with the scheme and the host that clients "
            "use: they are part of every key, and no client has asked here yet"
        )
        raise ConfigError.of("targets", url, allowed, where=_WHERE)
    _, raw_path, query = _split(f"http://x{url}", wrong)
    return Target(base, raw_path, query, headers)


def _split(url: str, wrong: ConfigError) -> tuple[Origin, bytes, bytes]:
    """The origin, path and query of a URL.

    Raises:
        ConfigError: `wrong`, if it is none of http or https, or has parts that are not sent.
    """
    try:
        parts = urlsplit(url)
        netloc, path, query = (text.encode("ascii") for text in parts[1:4])
    except (ValueError, UnicodeEncodeError):
        raise wrong from None
    host = host_of(netloc, parts.scheme)
    path = path or b"/"
    # The splitter drops some bytes; what is left has to be all that was given.
    whole = url.partition("://")[2].removeprefix(parts.netloc)
    sent = (path if parts.path else b"") + (b"?" + query if query else b"")
    if (
        parts.scheme not in ("http", "https")
        or host is None
        or whole.encode("latin-1", "replace") != sent
        or not target_is_plain(path, query)
    ):
        raise wrong
    return Origin(parts.scheme, host), path, query


def _headers(given: Any) -> Headers:
    """Request fields, lower-case.

    Raises:
        ConfigError: If they are none, or say another host.
    """
    allowed = "request fields: a mapping of names to values, or pairs of them, in ASCII"
    wrong = ConfigError.of("targets", given, allowed, where=_WHERE)
    pairs = given.items() if isinstance(given, Mapping) else given
    try:
        headers = normalised([(_bytes(name), _bytes(value)) for name, value in pairs])
    except (TypeError, ValueError, UnicodeEncodeError):
        raise wrong from None
    if invalid_reason(headers) is not None:
        raise wrong
    if any(name == _HOST for name, _ in headers):
        allowed = "no Host among the request fields, but the whole URL in place of the path"
        raise ConfigError.of("targets", given, allowed, where=_WHERE)
    return headers


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str.encode(text, "ascii")
