"""Entry <-> bytes, for tiers that other processes read; the metadata is read in `metadata`.

Layout of format 2, numbers big-endian:

| bytes  | what                                                            |
|--------|-----------------------------------------------------------------|
| 0-3    | magic, `amt1`                                                   |
| 4      | format, 2                                                       |
| 5      | flags: 1 it has a MAC, 2 its body is zstd                       |
|        | and kind: 0 response, 4 variants, 8 value,                      |
|        | 16 more with a version of its data                              |
| 6-21   | born: generation, 16 raw bytes; zeros for none                  |
| 22-29  | born: sequence number, unsigned                                 |
| 30-33  | length of the metadata                                          |
| 34-37  | length of the body as stored                                    |
| then   | a MAC of 16 bytes if flagged, else a checksum of 4 bytes        |
| then   | the metadata, a MessagePack array, and the body, raw            |

Format 1 had no checksum. Its entries with a MAC are still read; without one, damage could not be
detected, and they are a miss.

`born` has a fixed offset so that a script in a server can compare two values without decoding:
`BORN_GEN` and `BORN_SEQ` are its offsets, and sequence numbers compare as bytes.

The MAC is BLAKE2b, keyed, and the checksum CRC-32, over everything but itself; the metadata holds
key, namespace and version, so bytes moved to another place do not pass. A checksum finds damage,
not malice: without a secret, any program that may write to the tier may write anything. Whether a
MAC is required is the reader's setting, never the data's.

Reading returns a reason, not an exception: these bytes come from outside.
"""

import re
from functools import cache, lru_cache, partial
from hashlib import blake2b
from hmac import compare_digest
from importlib import import_module
from struct import Struct
from typing import Any, Final
from zlib import crc32

import msgspec

from ..entry import Born, Entry
from ..errors import ConfigError, SerializationError
from .metadata import READ, VERSIONED, Unreadable, metadata_of, payload_of, rebuilt, split_entry

MAGIC: Final = b"amt1"
FORMAT: Final = 2
BORN_GEN: Final = slice(6, 22)
"""Offset of the generation, 16 raw bytes."""
BORN_SEQ: Final = slice(22, 30)
"""Offset of the sequence number, 8 bytes, big-endian."""

MAX_METADATA: Final = 256 * 1024
"""Bytes of metadata that are written or read: everything but the body."""

_MIN_SECRET = 16
_MAC_SIZE = 16
_SUM_SIZE = 4
_UNSUMMED = 1
"""The format that had a MAC or nothing."""
_MAX_LENGTH = 2**32 - 1
_HAS_MAC, _HAS_ZSTD, _KIND = 1, 2, 12 | VERSIONED
_KNOWN_FLAGS = _HAS_MAC | _HAS_ZSTD | _KIND
_LEVEL = 3
"""Of zstd: its default. 4 x on JSON, in a tenth of the time of gzip."""

_NO_ZSTD = (
    "compress_over is set but zstandard is not installed; "
    "install asgi-multitier[compression] or leave compress_over=None"
)

_HEAD = Struct(">4sBB16sQII")
_HEAD_SIZE: Final = _HEAD.size
_BEHIND_MAC: Final = _HEAD_SIZE + _MAC_SIZE
_BEHIND_SUM: Final = _HEAD_SIZE + _SUM_SIZE
_NO_GENERATION = bytes(16)
_GENERATION = re.compile("[0-9a-f]{32}")
_new_mac = partial(blake2b, digest_size=_MAC_SIZE, person=b"asgi-multitier")


@cache
def _zstandard() -> Any:
    """The package, loaded at its first use; None if the extra `compression` is not installed."""
    try:
        return import_module("zstandard")
    except ImportError:
        return None


def check_compression(compress_over: object) -> None:
    """Check at start-up that `encode` accepts this setting.

    Raises:
        ConfigError: If it is neither a size in bytes nor None, or zstandard is not installed.
    """
    if compress_over is None:
        return
    if isinstance(compress_over, bool) or not isinstance(compress_over, int) or compress_over < 0:
        raise ConfigError.of("compress_over", compress_over, "a number of bytes, or None")
    if _zstandard() is None:
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
        wall: Unix seconds now, for tiers that cannot report what is left.
        secret: Keys the MAC, 16 bytes or more; None writes no MAC.
        namespace: The application's name; the reader must pass the same.
        version: The release's name; the reader must pass the same.
        compress_over: Bytes of body from which zstd is tried; None for never.

    Raises:
        SerializationError: If the entry cannot be written: a generation that is not 32 lower-case
            hexadecimal digits (or ""), a time that is not finite, metadata above `MAX_METADATA`.
        ConfigError: If compression is asked for and zstandard is not installed, or the secret is
            shorter than 16 bytes.
    """
    kind, extra, body = split_entry(entry)
    size = len(body)
    if compress_over is not None and size >= compress_over:
        compressed = _compressed(body)
        if len(compressed) < size:
            kind, body = kind | _HAS_ZSTD, compressed
    metadata = metadata_of(entry, extra, size, now, wall, namespace, version)
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
        key: The full key that was requested.
        now: A reading of the clock to which the entry's times will belong, in seconds.
        wall: Unix seconds now, compared with the writer's.
        remaining: Seconds that the tier reports as left; None if it cannot.
        secret: Keys the MAC. If set, bytes without a good MAC are unreadable; if None, bytes with
            one are.
        namespace: The application's name.
        version: The release's name.
        max_size: Bytes that a body may have, decompressed.

    Raises:
        ConfigError: If the secret is shorter than 16 bytes.
    """
    if len(data) < _HEAD_SIZE:
        return Unreadable.LENGTH
    magic, form, flags, gen, seq, metadata_size, body_size = _HEAD.unpack_from(data)
    if magic != MAGIC:
        return Unreadable.MAGIC
    if form != FORMAT and not (form == _UNSUMMED and flags & _HAS_MAC):
        return Unreadable.FORMAT
    read = READ.get(flags & _KIND)
    if read is None or flags & ~_KNOWN_FLAGS:
        return Unreadable.FLAGS
    start = _BEHIND_MAC if flags & _HAS_MAC else _BEHIND_SUM
    middle = start + metadata_size
    if len(data) != middle + body_size:
        return Unreadable.LENGTH
    if body_size > max_size or metadata_size > MAX_METADATA:
        return Unreadable.OVERSIZED
    if (start == _BEHIND_MAC) is not (secret is not None):
        return Unreadable.MAC
    head, rest = data[:_HEAD_SIZE], memoryview(data)[start:]
    if secret is None:
        # Here rather than in a function, as one that is called for each hit costs as much.
        if data[_HEAD_SIZE:start] != crc32(rest, crc32(head)).to_bytes(_SUM_SIZE, "big"):
            return Unreadable.CHECKSUM
    elif not compare_digest(data[_HEAD_SIZE:start], _mac(secret, head, rest)):
        return Unreadable.MAC
    try:
        metadata = read(data[start:middle])
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
    payload = payload_of(metadata, body, signed=secret is not None)
    if isinstance(payload, Unreadable):
        return payload
    return rebuilt(metadata, payload, _born(gen, seq), now, wall, remaining)


# Writing.


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
    if (zstandard := _zstandard()) is None:
        raise ConfigError(_NO_ZSTD)
    # A new one each time, deliberate: one cannot be shared by two threads, and it costs 2 us.
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


def _inflated(body: bytes, size: int) -> bytes | Unreadable:
    """The body decompressed, if it has exactly that size; nothing larger is ever allocated."""
    if (zstandard := _zstandard()) is None:
        return Unreadable.COMPRESSION
    try:
        if zstandard.frame_content_size(body) != size:
            return Unreadable.CORRUPT
        return bytes(zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False))
    except zstandard.ZstdError:
        return Unreadable.CORRUPT


@lru_cache(1024)
def _born(raw: bytes, seq: int) -> Born:
    """Remembered, since most of what is read was born at a few positions."""
    return Born("" if raw == _NO_GENERATION else raw.hex(), seq)
