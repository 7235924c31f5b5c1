"""Entry <-> bytes, for tiers that other processes read.

Layout of format 2, numbers big-endian:

| bytes  | what                                                            |
|--------|-----------------------------------------------------------------|
| 0-3    | magic, `amt1`                                                   |
| 4      | format, 2                                                       |
| 5      | flags: 1 it has a MAC, 2 its body is zstd                       |
|        | and kind: 0 response, 4 variants, 8 value                       |
| 6-21   | born: generation, 16 raw bytes; zeros for none                  |
| 22-29  | born: sequence number, unsigned                                 |
| 30-33  | length of the metadata                                          |
| 34-37  | length of the body as it stands here                            |
| then   | where flagged a MAC, 16 bytes, else a checksum, 4 bytes         |
| then   | the metadata, a MessagePack array, and the body, raw            |

Format 1 had no checksum. What it wrote with a MAC is still read; without one nothing told a whole
entry from a damaged one, and it is a miss.

`born` stands at a fixed place so that a script in a server can compare two values without decoding:
`BORN_GEN` and `BORN_SEQ` are its offsets, and sequence numbers compare as bytes.

Times travel as durations. The reader rebuilds them from the lifetime that the tier says is left,
and from the writer's wall clock, stamped in the metadata: bytes that are put back into a tier after
their life do not live again. Clocks of two machines may differ by a tenth of the entry's life, 5 s
at most, without effect; what they differ by beyond that shortens its life. Where the tier cannot
tell what is left, the stamp alone counts. Nothing that is read lives longer than what is left.

The MAC is BLAKE2b, keyed, and the checksum CRC-32, over everything but itself; the metadata holds
key, namespace and version, so bytes moved to another place do not pass. A checksum finds damage,
not malice: without a secret, who may write there may write anything. Whether there must be a MAC is
the reader's setting, never the data's.

Reading answers with a reason, not with an exception: these bytes come from outside. The field lines
are checked again here, because one bad byte makes a server drop its connection, and whoever wrote
them may have been an older process or none of ours.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from hashlib import blake2b
from hmac import compare_digest
from struct import Struct
from typing import Annotated, Any, Final, TypeAlias, cast
from zlib import crc32

import msgspec

from ..entry import Born, Entry, Payload, StoredResponse, Variants
from ..errors import ConfigError, SerializationError

zstandard: Any
try:
    import zstandard
except ImportError:  # the extra `compression` is not installed
    zstandard = None

MAGIC: Final = b"amt1"
FORMAT: Final = 2
BORN_GEN: Final = slice(6, 22)
"""Where the generation stands, 16 raw bytes."""
BORN_SEQ: Final = slice(22, 30)
"""Where the sequence number stands, 8 bytes, big-endian."""

MAX_METADATA: Final = 256 * 1024
"""Bytes of metadata that are written or read: everything but the body."""

MAX_SKEW: Final = 5.0
"""Seconds that two machines' clocks may differ without effect on what one of them reads."""

_SKEW_SHARE = 0.1
"""The same, as a share of an entry's life: the shorter it is, the less it may be prolonged."""

_MIN_SECRET = 16
_MAC_SIZE = 16
_SUM_SIZE = 4
_UNSUMMED = 1
"""The format that had a MAC or nothing."""
_MAX_LENGTH = 2**32 - 1
_HAS_MAC, _HAS_ZSTD, _KIND = 1, 2, 12
_RESPONSE, _VARIANTS, _VALUE = 0, 4, 8
_KNOWN_FLAGS = _HAS_MAC | _HAS_ZSTD | _KIND
_LEVEL = 3
"""Of zstd: what its makers call the default. 4 x on JSON, a tenth of the time of gzip."""

_NO_ZSTD = (
    "compress_over is set but zstandard is not installed; "
    "install asgi-multitier[compression] or leave compress_over=None"
)

_HEAD = Struct(">4sBB16sQII")
_NO_GENERATION = bytes(16)
_GENERATION = re.compile("[0-9a-f]{32}")
_NAME_BYTES = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
"""RFC 9110 §5.6.2, without capitals: stored names are lower-case."""
_VALUE_BYTES = bytes((9, *range(0x20, 0x7F), *range(0x80, 0x100)))
"""RFC 9110 §5.5: visible characters, space, tab and obs-text; no CR, LF, NUL or other control."""


class Unreadable(StrEnum):
    """Why bytes are no entry for this reader. Each is a miss and a counter's name."""

    LENGTH = "length"
    """Shorter or longer than it says."""
    MAGIC = "magic"
    """Not ours."""
    FORMAT = "format"
    """Another version of this layout."""
    FLAGS = "flags"
    """Flags that this layout does not have."""
    OVERSIZED = "oversized"
    """More body or metadata than is allowed, before or after decompression."""
    MAC = "mac"
    """Not written by a holder of this secret, or with one where none is set, or the reverse."""
    CHECKSUM = "checksum"
    """Damaged, where no secret is set."""
    CORRUPT = "corrupt"
    """The metadata or the compressed body cannot be read."""
    KEY = "key"
    """Another key's entry."""
    NAMESPACE = "namespace"
    """Another application's entry."""
    VERSION = "version"
    """Another release's entry."""
    HEADERS = "headers"
    """Field lines that must not be sent."""
    COMPRESSION = "compression"
    """Compressed, and the extra `compression` is not installed."""
    EXPIRED = "expired"
    """Nothing of its life is left."""


_Seconds: TypeAlias = float


class _Value(msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """What a value has, and every other kind begins with. The order is the format."""

    key: str
    namespace: str
    version: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    """Of the body, decompressed."""
    written: _Seconds
    """The writer's wall clock."""
    age: _Seconds
    fresh_for: _Seconds
    keep_for: _Seconds
    refresh_in: _Seconds | None
    stale_while_revalidate: _Seconds
    stale_if_error: _Seconds
    always_validate: bool
    stale_allowed: bool
    immutable: bool
    path: str
    route: str
    name: str
    tags: tuple[str, ...]


class _Response(_Value, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    status: Annotated[int, msgspec.Meta(ge=200, le=999)]
    headers: tuple[tuple[bytes, bytes], ...]
    etag: bytes | None
    last_modified: bytes | None


class _Variants(_Value, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    fields: tuple[bytes, ...]


_READ = {
    _RESPONSE: msgspec.msgpack.Decoder(_Response).decode,
    _VARIANTS: msgspec.msgpack.Decoder(_Variants).decode,
    _VALUE: msgspec.msgpack.Decoder(_Value).decode,
}
_write = msgspec.msgpack.Encoder().encode
_new_mac = partial(blake2b, digest_size=_MAC_SIZE, person=b"asgi-multitier")


def check_compression(compress_over: object) -> None:
    """Whether `encode` will take this setting: to be asked at start-up, not at the first response.

    Raises:
        ConfigError: If it is no size in bytes or None, or zstandard is not installed.
    """
    if compress_over is None:
        return
    if isinstance(compress_over, bool) or not isinstance(compress_over, int) or compress_over < 0:
        raise ConfigError.of("compress_over", compress_over, "a number of bytes, or None")
    if zstandard is None:
        raise ConfigError(_NO_ZSTD)


def encode(
    entry: Entry,
    *,
    now: float,
    wall: float,
    secret: bytes | None = None,
    namespace: str = "",
    version: str = "",
    compress_over: int | None = None,
) -> bytes:
    """The entry as bytes, to be kept for `entry.keep_until - now` seconds.

    Args:
        entry: What to write. For a tier with another lifetime, the entry scaled accordingly.
        now: A reading of the clock that the entry's times belong to, in seconds.
        wall: Unix seconds now, for tiers that cannot tell what is left.
        secret: Keys the MAC, 16 bytes or more; None writes no MAC.
        namespace: The application's name; the reader must give the same.
        version: The release's name; the reader must give the same.
        compress_over: Bytes of body from which zstd is tried; None for never.

    Raises:
        SerializationError: If the entry cannot be written: a generation that is not 32 lower-case
            hexadecimal digits (or ""), a time that is not finite, metadata above `MAX_METADATA`.
        ConfigError: If compression is asked for and zstandard is not installed, or the secret is
            shorter than 16 bytes.
    """
    kind, extra, body = _parts(entry.payload)
    size = len(body)
    if compress_over is not None and size >= compress_over:
        compressed = _compressed(body)
        if len(compressed) < size:
            kind, body = kind | _HAS_ZSTD, compressed
    metadata = _metadata(entry, extra, size, now, wall, namespace, version)
    if len(metadata) > MAX_METADATA or len(body) > _MAX_LENGTH:
        raise SerializationError(
            f"entry {entry.key[:80]!r} cannot be written: metadata of {len(metadata)} bytes; "
            f"expected at most {MAX_METADATA}"
        )
    flags = kind if secret is None else kind | _HAS_MAC
    head = _head(entry, flags, len(metadata), len(body))
    check = _sum(head, metadata, body) if secret is None else _mac(secret, head, metadata, body)
    return b"".join((head, check, metadata, body))


def decode(
    data: bytes,
    *,
    key: str,
    now: float,
    wall: float,
    remaining: float | None,
    secret: bytes | None = None,
    namespace: str = "",
    version: str = "",
    max_size: int,
) -> Entry | Unreadable:
    """The entry in these bytes, or why there is none. Never raises because of the data.

    Args:
        data: What a tier returned.
        key: The full key that was asked for.
        now: A reading of the clock that the entry's times shall belong to, in seconds.
        wall: Unix seconds now, to be compared with the writer's.
        remaining: Seconds that the tier says are left; None where it cannot tell.
        secret: Keys the MAC. If set, bytes without a good MAC are unreadable; if None, bytes with
            one are.
        namespace: The application's name.
        version: The release's name.
        max_size: Bytes that a body may have, decompressed.

    Raises:
        ConfigError: If the secret is shorter than 16 bytes.
    """
    if len(data) < _HEAD.size:
        return Unreadable.LENGTH
    magic, form, flags, gen, seq, metadata_size, body_size = _HEAD.unpack_from(data)
    if magic != MAGIC:
        return Unreadable.MAGIC
    if form != FORMAT and not (form == _UNSUMMED and flags & _HAS_MAC):
        return Unreadable.FORMAT
    if flags & ~_KNOWN_FLAGS or flags & _KIND not in _READ:
        return Unreadable.FLAGS
    start = _HEAD.size + (_MAC_SIZE if flags & _HAS_MAC else _SUM_SIZE)
    middle = start + metadata_size
    if len(data) != middle + body_size:
        return Unreadable.LENGTH
    if body_size > max_size or metadata_size > MAX_METADATA:
        return Unreadable.OVERSIZED
    if bool(flags & _HAS_MAC) != (secret is not None):
        return Unreadable.MAC
    if not _is_as_written(data, start, secret):
        return Unreadable.CHECKSUM if secret is None else Unreadable.MAC
    try:
        metadata = _READ[flags & _KIND](memoryview(data)[start:middle])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Unreadable.CORRUPT
    if metadata.key != key:
        return Unreadable.KEY
    if metadata.namespace != namespace:
        return Unreadable.NAMESPACE
    if metadata.version != version:
        return Unreadable.VERSION
    if metadata.size > max_size:
        return Unreadable.OVERSIZED
    body = data[middle:]
    if flags & _HAS_ZSTD:
        inflated = _inflated(body, metadata.size)
        if isinstance(inflated, Unreadable):
            return inflated
        body = inflated
    if len(body) != metadata.size:
        return Unreadable.CORRUPT
    payload = _payload(metadata, body)
    if isinstance(payload, Unreadable):
        return payload
    return _entry(metadata, payload, Born(_gen(gen), seq), now, wall, remaining)


# Writing.

_NEVER = float("inf")


def _parts(payload: Payload) -> tuple[int, tuple[Any, ...], bytes]:
    """The kind, what its metadata has beyond every kind's, and the body."""
    if isinstance(payload, StoredResponse):
        p = payload
        return _RESPONSE, (p.status, p.headers, p.etag, p.last_modified), p.body
    if isinstance(payload, Variants):
        return _VARIANTS, (payload.fields,), b""
    return _VALUE, (), payload


def _metadata(
    e: Entry,
    extra: tuple[Any, ...],
    size: int,
    now: float,
    wall: float,
    namespace: str,
    version: str,
) -> bytes:
    age, fresh_for, keep_for = now - e.created, e.fresh_until - now, e.keep_until - now
    refresh_in = None if e.refresh_at == _NEVER else e.refresh_at - now
    windows = (e.stale_while_revalidate, e.stale_if_error)
    if not _are_finite(wall, age, fresh_for, keep_for, refresh_in or 0.0, *windows):
        raise SerializationError(f"entry {e.key[:80]!r} cannot be written: a time is not finite")
    times = (wall, age, fresh_for, keep_for, refresh_in, *windows)
    rules = (e.always_validate, e.stale_allowed, e.immutable)
    names = (e.path, e.route, e.name, e.tags)
    try:
        return _write((e.key, namespace, version, size, *times, *rules, *names, *extra))
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise SerializationError(f"entry {e.key[:80]!r} cannot be written: {error}") from error


def _head(entry: Entry, flags: int, metadata_size: int, body_size: int) -> bytes:
    gen, seq = entry.born.gen, entry.born.seq
    if not 0 <= seq < 2**64:
        raise SerializationError(
            f"sequence number {seq} cannot be written; expected 0 to 2**64 - 1"
        )
    if gen and not _GENERATION.fullmatch(gen):
        raise SerializationError(
            f"generation {gen[:40]!r} cannot be written; expected 32 lower-case hexadecimal digits"
        )
    raw = bytes.fromhex(gen) if gen else _NO_GENERATION
    return _HEAD.pack(MAGIC, FORMAT, flags, raw, seq, metadata_size, body_size)


def _compressed(body: bytes) -> bytes:
    if zstandard is None:
        raise ConfigError(_NO_ZSTD)
    # Made anew each time, deliberate: one cannot be used by two threads, and it costs 2 us.
    return bytes(zstandard.ZstdCompressor(level=_LEVEL).compress(body))


def _mac(secret: bytes, *parts: bytes | memoryview) -> bytes:
    if len(secret) < _MIN_SECRET:
        raise ConfigError(f"secret is not allowed; expected at least {_MIN_SECRET} bytes")
    fitting = secret if len(secret) <= blake2b.MAX_KEY_SIZE else blake2b(secret).digest()
    mac = _new_mac(key=fitting)
    for part in parts:
        mac.update(part)
    return mac.digest()


def _sum(*parts: bytes | memoryview) -> bytes:
    value = 0
    for part in parts:
        value = crc32(part, value)
    return value.to_bytes(_SUM_SIZE, "big")


# Reading.


def _is_as_written(data: bytes, start: int, secret: bytes | None) -> bool:
    view, check = memoryview(data), data[_HEAD.size : start]
    parts = view[: _HEAD.size], view[start:]
    if secret is None:
        return check == _sum(*parts)
    return compare_digest(check, _mac(secret, *parts))


def _inflated(body: bytes, size: int) -> bytes | Unreadable:
    """The body decompressed, if it has exactly that size; nothing larger is ever allocated."""
    if zstandard is None:
        return Unreadable.COMPRESSION
    try:
        if zstandard.frame_content_size(body) != size:
            return Unreadable.CORRUPT
        return bytes(zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False))
    except zstandard.ZstdError:
        return Unreadable.CORRUPT


def _payload(metadata: _Value, body: bytes) -> Payload | Unreadable:
    if isinstance(metadata, _Response):
        m = metadata
        if not _may_be_sent(m.headers):
            return Unreadable.HEADERS
        return StoredResponse(m.status, m.headers, body, m.etag, m.last_modified)
    if isinstance(metadata, _Variants):
        return Variants(metadata.fields) if _are_names(metadata.fields) else Unreadable.HEADERS
    return body


def _may_be_sent(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    if not headers:
        return True
    names, values = zip(*headers, strict=True)
    return _are_names(names) and not b"".join(values).translate(None, _VALUE_BYTES)


def _are_names(names: Sequence[bytes]) -> bool:
    return b"" not in names and not b"".join(names).translate(None, _NAME_BYTES)


def _gen(raw: bytes) -> str:
    return "" if raw == _NO_GENERATION else raw.hex()


def _are_finite(*times: float) -> bool:
    """Whether none is infinite or not a number: the sum of any such with anything is neither."""
    return sum(times) * 0.0 == 0.0


def _entry(
    m: _Value, payload: Payload, born: Born, now: float, wall: float, remaining: float | None
) -> Entry | Unreadable:
    """The entry with its times on this node's clock, shortened by what has passed since."""
    # A stamp from the future is clocks that disagree: the difference shortens the life too.
    passed = abs(wall - m.written)
    if remaining is None:
        left = m.keep_for - passed
    else:
        beyond = max(0.0, passed - min(MAX_SKEW, m.keep_for * _SKEW_SHARE))
        left = min(remaining, m.keep_for - beyond)
    refresh_in = _NEVER if m.refresh_in is None else m.refresh_in
    windows = m.stale_while_revalidate + m.stale_if_error
    times = (m.written, m.age, m.fresh_for, m.keep_for, left, m.refresh_in or 0.0, windows)
    if not _are_finite(*times):
        return Unreadable.CORRUPT
    if now + left <= now:  # a rest too small to be added counts as none
        return Unreadable.EXPIRED
    elapsed = m.keep_for - left
    e: Any = _Draft()
    e.key = m.key
    e.payload = payload
    e.born = born
    e.created = now - m.age - elapsed
    e.fresh_until = now + m.fresh_for - elapsed
    e.keep_until = now + left
    e.filled_at = now
    e.stale_while_revalidate = m.stale_while_revalidate
    e.stale_if_error = m.stale_if_error
    e.refresh_at = now + refresh_in - elapsed
    e.always_validate = m.always_validate
    e.stale_allowed = m.stale_allowed
    e.immutable = m.immutable
    e.path = m.path
    e.route = m.route
    e.name = m.name
    e.tags = m.tags
    e.__class__ = Entry
    return cast("Entry", e)


class _Draft:
    """An entry before it is frozen: the same slots, so that it can become one.

    Deliberate: the constructor of a frozen dataclass sets its fields the slow way, 3 us in
    which this takes 0.5. A test holds it against the constructor, field by field.
    """

    __slots__ = Entry.__slots__
