"""Which stored responses a request that changed something invalidates (RFC 9111 §4.4, RFC 9875)."""

from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import http_sf

from .._types import Headers
from . import headers as fields

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "QUERY", "TRACE"))
"""RFC 9110 §9.2.1, and QUERY (RFC 10008). Every method that is not known to be safe is unsafe."""

GROUP_TAG = "group:"
"""The prefix that makes the name of a cache group a tag."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """A URL in parts, as bytes on the wire: path and query stay percent-encoded.

    Attributes:
        scheme: `http` or `https`.
        host: The host, with a port unless it is the scheme's own.
        path: The raw path.
        query: The raw query without its question mark.
    """

    scheme: str
    host: bytes
    path: bytes
    query: bytes = b""


def is_safe(method: str) -> bool:
    """Whether a method is safe, that is, requests no change; unknown methods are not."""
    return method in SAFE_METHODS


def may_invalidate(method: str, status: int) -> bool:
    """Whether this exchange may have changed what is stored: unsafe, and answered 2xx or 3xx."""
    return method not in SAFE_METHODS and 200 <= status < 400


def sends_on(status: int) -> bool:
    """Whether the client is to send the same request elsewhere, so nothing was done with it here.

    RFC 9110 §15.4.8, §15.4.9: 307 and 308. Routers use them where only a slash is wrong.
    """
    return status in (307, 308)


def resolved(reference: bytes, base: Target) -> Target | None:
    """The same-origin URL that a `Location` or `Content-Location` names; None for any other.

    Args:
        reference: The field value: a URI reference (RFC 3986 §4.1).
        base: The URL of the request.
    """
    text = reference.strip(b" \t").decode("latin-1")
    origin = f"{base.scheme}://{base.host.decode('latin-1')}"
    query = "?" + base.query.decode("latin-1") if base.query else ""
    try:
        url = urlsplit(urljoin(origin + base.path.decode("latin-1") + query, text))
        own = urlsplit(origin)
        same = _origin(url.scheme, url.hostname, url.port) == _origin(
            own.scheme, own.hostname, own.port
        )
    except ValueError:  # a malformed authority is of no origin
        return None
    if not same:
        return None
    path = _without_dot_segments(url.path or "/")
    return Target(base.scheme, base.host, path.encode("latin-1"), url.query.encode("latin-1"))


def _origin(scheme: str, host: str | None, port: int | None) -> tuple[str, str | None, int | None]:
    return scheme, host, port or _DEFAULT_PORTS.get(scheme)


def _without_dot_segments(path: str) -> str:
    """RFC 3986 §5.2.4, for an absolute path."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def invalidated_paths(target: Target, status: int, headers: Headers) -> tuple[bytes, ...]:
    """The raw paths of this origin whose stored responses an exchange invalidates.

    The request's own first, then those of `Location` and `Content-Location`, each once. Deliberate:
    these count in a 2xx only (RFC 9111 §4.4 leaves it open): the target of a redirect is often
    chosen by the client, as in `POST /login?next=/expensive`.

    Args:
        target: The request's URL.
        status: The response's status.
        headers: The response's field lines, normalised.
    """
    paths = [target.path]
    for name, value in headers if 200 <= status < 300 else ():
        if name in (b"location", b"content-location"):
            other = resolved(value, target)
            if other is not None:
                paths.append(other.path)
    return tuple(dict.fromkeys(paths))


def decoded_path(path: bytes) -> tuple[str, ...]:
    """The path as applications know it; bytes of a field may be of two charsets.

    RFC 9110 §5.5: bytes beyond ASCII were ISO-8859-1 in the past and are UTF-8 in practice.
    """
    charsets = ("latin-1",) if path.isascii() else ("latin-1", "utf-8")
    return tuple(unquote(path.decode(charset, "replace")) for charset in charsets)


def invalidated_groups(method: str, headers: Headers, target: Target) -> tuple[str, ...]:
    """The tags that `Cache-Group-Invalidation` drops; none for a safe method (RFC 9875 §3).

    They are those of the request's own origin: it has no authority over the groups of another.
    """
    if is_safe(method):
        return ()
    return of_origin(group_tags(headers, b"cache-group-invalidation"), target.scheme, target.host)


def of_origin(tags: tuple[str, ...], scheme: str, host: bytes) -> tuple[str, ...]:
    """Tags of cache groups as those of one origin (RFC 9875 §2: a group belongs to one origin)."""
    return tuple(f"{tag}@{scheme}://{host.decode('latin-1')}" for tag in tags)


def group_tags(headers: Headers, name: bytes) -> tuple[str, ...]:
    """The cache groups that a field lists (RFC 9875 §2), as tags, each once.

    A field that is not a List counts as absent; a member that is not a String is skipped.
    """
    value = fields.combined(headers, name)
    if value is None:
        return ()
    try:
        listed = http_sf.parse(value, tltype="list")
    except http_sf.StructuredFieldError:
        return ()
    items = listed if isinstance(listed, list) else []
    groups = [item[0] for item in items if isinstance(item, tuple)]
    return tuple(dict.fromkeys(GROUP_TAG + group for group in groups if isinstance(group, str)))
