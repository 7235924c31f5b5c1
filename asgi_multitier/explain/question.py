"""A request as it is asked about: from what a person writes to an ASGI scope."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote, unquote, urlsplit

from .._types import Header
from ..errors import ConfigError
from ..policy.headers import is_token
from ..warming.targets import Origin

HeadersOption: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]] | None
"""Field lines: a mapping, or pairs where a name comes more than once."""

_WHERE = "CacheManager.explain"
_PATH = "/!$%&'()*+,-.:;=@_~"
"""Characters that stand in a path as they are (RFC 3986 §3.3), and `%`, which was written."""

_QUERY = _PATH + "?[]|"

_DEFAULT_ORIGIN = Origin("http", b"localhost", "", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request that is not sent.

    Attributes:
        method: In capitals.
        scheme, host: Of its URL; "" where that is a path alone.
        raw_path: The path as sent.
        query: The query as sent.
        headers: Field lines, names in lower case.
        body: Its content; None for none.
        run_callables: Whether callables of the rule may be called.
        shared: Whether shared tiers are asked.
        reveal: Whether paths, tags and names are shown with their values.
    """

    method: str
    scheme: str
    host: bytes
    raw_path: bytes
    query: bytes
    headers: tuple[Header, ...]
    body: bytes | None
    run_callables: bool
    shared: bool
    reveal: bool

    @property
    def path(self) -> str:
        """The path as the application sees it."""
        return unquote(self.raw_path.decode("ascii"))

    def scope(self, origins: Iterable[Origin], mount: str | None) -> dict[str, Any]:
        """The request as a server would pass it on.

        What the URL leaves open is as in the requests that clients send: the host of a path alone,
        and the fields that a proxy adds, which are in each key.

        Args:
            origins: What clients asked for lately was asked of, the most frequent first.
            mount: The root path of all requests of the application; None if that is not known.
        """
        named = next((value for name, value in self.headers if name == b"host"), self.host)
        origin = self._origin(named, list(origins))
        sent = {name for name, _ in self.headers}
        proxied = tuple(line for line in origin.proxied if line[0] not in sent)
        headers = [line for line in self.headers if line[0] != b"host"]
        hosts = [line for line in self.headers if line[0] == b"host"]
        if self.body is not None and b"content-length" not in sent and not _is_coded(sent):
            headers.append((b"content-length", b"%d" % len(self.body)))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": origin.scheme,
            "path": self.path,
            "raw_path": self.raw_path,
            "query_string": self.query,
            "root_path": origin.root_path if mount is None else mount,
            "headers": [*(hosts or [(b"host", named or origin.host)]), *proxied, *headers],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", None),
        }

    def _origin(self, host: bytes, origins: list[Origin]) -> Origin:
        """What the request is asked of: as clients do, where they ask the same host."""
        if not host:
            return origins[0] if origins else _DEFAULT_ORIGIN
        fitting = [one for one in origins if one.host == host]
        if self.scheme:
            fitting = [one for one in fitting if self.scheme in (one.scheme, _scheme_of(one))]
        if fitting:
            return fitting[0]
        return Origin(self.scheme or _DEFAULT_ORIGIN.scheme, host, "", ())


def _scheme_of(origin: Origin) -> str:
    """The scheme that a proxy says that its client has used; "" if it says none."""
    found = (value for name, value in origin.proxied if name == b"x-forwarded-proto")
    return next(found, b"").decode("latin-1").strip().lower()


def _is_coded(names: set[bytes]) -> bool:
    return b"transfer-encoding" in names


def question_of(
    method: str,
    url: str,
    headers: HeadersOption,
    *,
    body: bytes | None,
    run_callables: bool,
    shared: bool,
    reveal: bool,
) -> Question:
    """Read what is asked about.

    Raises:
        ConfigError: If the method is no method, the URL neither begins with `/` nor is one of
            http or https, or a field line or the body is not allowed.
    """
    given: object = method
    if not (isinstance(given, str) and given.isascii() and is_token(given.encode())):
        raise ConfigError.of("method", method, "a method such as 'GET'", where=_WHERE)
    scheme, host, path, query = _parts_of(url)
    if body is not None and not isinstance(body, bytes):
        raise ConfigError.of("body", body, "bytes, or None", where=_WHERE)
    for name, value in (("run_callables", run_callables), ("shared", shared), ("reveal", reveal)):
        if type(value) is not bool:
            raise ConfigError.of(name, value, "True or False", where=_WHERE)
    return Question(
        method=method.upper(),
        scheme=scheme,
        host=host,
        raw_path=path,
        query=query,
        headers=tuple(_lines_of(headers)),
        body=body,
        run_callables=run_callables,
        shared=shared,
        reveal=reveal,
    )


def _parts_of(url: object) -> tuple[str, bytes, bytes, bytes]:
    allowed = "a path such as '/products/1', or a URL that begins with http:// or https://"
    if not isinstance(url, str):
        raise ConfigError.of("url", _without_user(url), allowed, where=_WHERE)
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2].encode("idna" if not url.isascii() else "ascii")
        path = quote(parts.path or "/", safe=_PATH, errors="strict").encode("ascii")
        query = quote(parts.query, safe=_QUERY, errors="strict").encode("ascii")
    except ValueError:  # also of an encoding
        raise ConfigError.of("url", _without_user(url), allowed, where=_WHERE) from None
    absolute = parts.scheme in ("http", "https") and bool(host)
    if not absolute and (parts.scheme or host or not url.startswith("/")):
        raise ConfigError.of("url", _without_user(url), allowed, where=_WHERE)
    return parts.scheme, host, path, query


def _without_user(url: object) -> object:
    """What was given for a URL, as an error shows it: what stands before `@` may be a password."""
    head, at, rest = url.rpartition("@") if isinstance(url, str) else ("", "", "")
    return f"{head.partition('//')[0]}//...@{rest}" if at else url


def _lines_of(headers: HeadersOption) -> Iterable[Header]:
    """Field lines as a server passes them on."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    allowed = "a mapping of names to values, or pairs of them"
    try:
        given = [(name, value) for name, value in pairs]
    except (TypeError, ValueError):
        raise ConfigError.of("headers", type(headers).__name__, allowed, where=_WHERE) from None
    for name, value in given:
        try:
            line = _bytes_of(name).lower(), _bytes_of(value).strip(b" \t")
        except (TypeError, UnicodeEncodeError):
            line = b"", b""
        # What a value is belongs to one user: it is not repeated in an error.
        if not is_token(line[0]) or not _NO_VALUE.isdisjoint(line[1]):
            raise ConfigError.of("headers", name, f"{allowed}, as HTTP allows them", where=_WHERE)
        yield line


_NO_VALUE = frozenset(b"\r\n\0")


def _bytes_of(text: object) -> bytes:
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        return text.encode("latin-1")
    raise TypeError
