"""The primary key of a request: what separates one stored response from another (RFC 9111 §2).

A key is built from parts, each after its length, so no choice of bytes in one part can look like
two parts. Nothing is normalised that two applications could read differently: the path stays raw,
percent-encoding stays as sent. A request that cannot be keyed with certainty bypasses the cache.

Every stored entry contains its full key. What the key takes from a request besides the URL, and
what a query presents as a credential, are keyed digests in it: a reader of a shared tier cannot see
to which user an entry belongs, only test a guess.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote, unquote_plus

from .._types import Header, Headers
from .credentials import folded, identifies_user

_HOST_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~[]:%")
_DEFAULT_PORTS = {"http": b":80", "https": b":443"}

_FORMAT = b"2"
"""The format of keys: entries under keys of another format are not found."""

_FORWARDED = b"forwarded"

_LONGEST_NAME = 64
"""Bytes of the longest name of a query parameter that is examined; a longer one counts as a
credential."""

_MAX_PART = 512
"""Characters that fields add to a key as they are."""

RESPONSE_MARK = "\x00"
"""First character of every response's key; a manager's key may not begin with it."""


def host_of(raw: bytes | None, scheme: str) -> bytes | None:
    """The host in lower case without the scheme's default port, or None if it is malformed."""
    if not raw or not _HOST_BYTES.issuperset(raw):
        return None
    host = raw.lower()
    name, colon, port = host.rpartition(b":")
    if colon and not host.endswith(b"]"):
        if not name or not port.isdigit() or len(port) > 5 or (b":" in name and name[:1] != b"["):
            return None
        if colon + port == _DEFAULT_PORTS.get(scheme):
            return name
    return host


_NOT_PLAIN = re.compile(rb"[^!-~]|#")
"""Anything but visible ASCII; and the fragment's mark, which no target has."""


def target_is_plain(raw_path: bytes, query: bytes) -> bool:
    """Whether the target is in origin form and free of bytes that parsers disagree about."""
    if raw_path[:1] != b"/":
        return False
    return _NOT_PLAIN.search(raw_path + query) is None


def canonical_query(query: bytes, allowed: frozenset[str]) -> bytes:
    """The query as a rule with an allow-list puts it into the key, and as the application sees it.

    The pairs are sorted by name; the order of one name's values is kept. Without an allow-list a
    query stays as sent, since the application can see its order (RFC 9111 §4: the same target).

    Args:
        query: The raw query string.
        allowed: Names (decoded) to keep.
    """
    pairs = [pair for pair in query.split(b"&") if name_of_pair(pair) in allowed]
    # By the name as the application reads it: `a` and `%61` are one name, whose values have an
    # order.
    pairs.sort(key=name_of_pair)
    return b"&".join(pairs)


def name_of_pair(pair: bytes) -> str:
    """The decoded name of a parameter."""
    return unquote_plus(pair.partition(b"=")[0].decode("latin-1"))


class Veil:
    """Keyed digests that replace the personal parts of a key.

    Args:
        secret: The same on all instances that share a tier: the secret that signs entries, or else
            the application's name, which keeps digests of two applications from being compared.
    """

    __slots__ = ("_hash",)

    def __init__(self, secret: bytes) -> None:
        key = hashlib.blake2b(secret, digest_size=32, person=b"asgi-mt key part").digest()
        self._hash = hashlib.blake2b(key=key, digest_size=24)

    def __call__(self, text: bytes) -> bytes:
        """192 bits in hexadecimal: finding two texts with the same digest is not feasible."""
        hashed = self._hash.copy()
        hashed.update(text)
        return hashed.hexdigest().encode()

    def query(self, query: bytes) -> bytes:
        """A query with a digest in place of each parameter whose name identifies the user."""
        return b"&".join(map(self._pair, query.split(b"&")))

    def hides(self, query: bytes) -> bool:
        """Whether a digest takes the place of any parameter of the query."""
        return self.query(query) != query

    def _pair(self, pair: bytes) -> bytes:
        # Some applications also end a pair at a semicolon.
        if not any(map(_presents_credential, pair.split(b";"))):
            return pair
        # No query contains this byte, so nothing that is sent can look like a digest.
        return pair.partition(b"=")[0][:_LONGEST_NAME] + b"\x00" + self(pair)


def _presents_credential(pair: bytes) -> bool:
    name = name_of_pair(pair).encode("utf-8", "surrogatepass")
    return len(name) > _LONGEST_NAME or identifies_user(folded(name))


def primary_key(
    *,
    scheme: str,
    host: bytes,
    root_path: str,
    path: str,
    raw_path: bytes,
    query: bytes,
    version: str = "",
) -> str:
    """The key of a GET (and so of a HEAD), before anything that a rule adds.

    Args:
        scheme: `http` or `https`.
        host: A host as `host_of` returns it.
        root_path: The path at which the application is mounted.
        path: The decoded path that the application routes by.
        raw_path: The path as sent.
        query: The query, as sent or as `canonical_query` returns it.
        version: The application's release: another release's responses are not found.
    """
    mount = root_path.encode("utf-8", "surrogatepass")
    parts = [_FORMAT, scheme.encode(), host, mount, raw_path, query, version.encode()]
    # A layer outside may have rewritten the path and not the raw path: then both count.
    if unquote(raw_path.decode("latin-1")) != path:
        parts.append(path.encode("utf-8", "surrogatepass"))
    return RESPONSE_MARK + length_prefixed(parts)


def length_prefixed(parts: Iterable[bytes]) -> str:
    """The parts with their lengths in front, as text."""
    return b"".join(b"%d:%b" % (len(part), part) for part in parts).decode("latin-1")


def extended(key: str, parts: Iterable[bytes]) -> str:
    """A key with further parts: named fields, cookies, a partition, or the variant."""
    return f"{key}\x00{bounded(length_prefixed(parts))}"


def bounded(part: str) -> str:
    """What a client's fields add to a key; long parts become 256 bits of BLAKE2b.

    A key is stored in more places than its entry, and clients decide how long their fields are.
    """
    if len(part) <= _MAX_PART:
        return part
    digest = hashlib.blake2b(part.encode("utf-8", "surrogatepass"), digest_size=32)
    return f"#{digest.hexdigest()}"  # other parts begin with a length, or with "-"


def field_part(headers: Iterable[Header], name: bytes, veil: Veil) -> bytes:
    """One request field as a key part; a field that is absent differs from an empty one.

    Two lines differ from one that lists the same: frameworks give an application the first line.
    """
    lines = [value.strip(b" \t") for field, value in headers if field.lower() == name]
    return name + (b"=" + veil(length_prefixed(lines).encode("latin-1")) if lines else b"")


def forwarded_parts(lines: Iterable[Header]) -> list[bytes]:
    """Key parts of the fields from which applications build absolute URLs.

    `Forwarded` (RFC 7239) also names the client, which must not split the cache: of it only host
    and proto count.
    """
    parts = []
    for name, value in lines:
        field = name.lower()
        parts.append(field + b"=" + (without_client(value) if field == _FORWARDED else value))
    return parts


def names_client(name: bytes) -> bool:
    """Whether a field from which URLs are built also says who asks (RFC 7239 §5.2)."""
    return name.lower() == _FORWARDED


def forwarded_for_all(lines: Iterable[Header]) -> Headers | None:
    """Lines of the same meaning and key that any client may send; None if there are none such.

    Of several elements of `Forwarded` an application may go by one.
    """
    named = [(name.lower(), value) for name, value in lines]
    if any(name == _FORWARDED and b"," in value for name, value in named):
        return None
    return tuple((n, without_client(v) if n == _FORWARDED else v) for n, v in named)


def without_client(forwarded: bytes) -> bytes:
    """The value of a `Forwarded` line as it is in the key."""
    pairs = [p.strip().lower() for element in forwarded.split(b",") for p in element.split(b";")]
    return b";".join(p for p in pairs if not p.startswith((b"for=", b"by=")))


def storage_key(key: str) -> str:
    """The name under which a shared tier holds a key: short, printable, of one length.

    128 bits of BLAKE2b; the entry contains the full key, which is compared on every read.
    """
    return _storage_key_of(key) if len(key) <= _LONGEST_REMEMBERED else _hashed(key)


_LONGEST_REMEMBERED = 512
"""Characters of the longest key whose name in a shared tier is remembered."""


def _hashed(key: str) -> str:
    kind = "r" if key.startswith(RESPONSE_MARK) else "v"
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16)
    return f"{kind}:{digest.hexdigest()}"


# The same keys are asked for again and again.
_storage_key_of = lru_cache(4096)(_hashed)
