"""The metadata of an entry as MessagePack, and the entry that it becomes again.

Times travel as durations. The reader rebuilds them from the lifetime that the tier reports as left,
and from the writer's wall clock, stamped in the metadata: bytes that are put back into a tier after
their life do not live again. Clocks of two machines may differ by a tenth of the entry's life, 5 s
at most, without effect; a larger difference shortens its life. Where the tier cannot report what is
left, the stamp alone counts. Nothing that is read lives longer than what is left.

The field lines are checked again here, because one bad byte makes a server drop its connection, and
the writer may have been another program. Behind a good MAC it was not: what holds the secret has
checked them when they were stored.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from operator import itemgetter
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from .._types import Header, Headers
from ..entry import Born, Entry, Payload, StoredResponse, Variants, reuse_of
from ..errors import SerializationError

RESPONSE, VARIANTS, VALUE = 0, 4, 8
"""The kinds of payload, as bits of the flags."""

VERSIONED = 16
"""A flag of responses and values: their metadata ends with the version of their data.

Builds that do not know it have a miss.
"""

MAX_SKEW: Final = 5.0
"""Seconds that two machines' clocks may differ without effect on what one of them reads."""

_SKEW_SHARE = 0.1
"""The same, as a share of an entry's life: the shorter it is, the less it may be prolonged."""

_NEVER = float("inf")
_NAME_BYTES = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
"""RFC 9110 §5.6.2, without capitals: stored names are lower-case."""
_VALUE_BYTES = bytes((9, *range(0x20, 0x7F), *range(0x80, 0x100)))
"""RFC 9110 §5.5: visible characters, space, tab and obs-text; no CR, LF, NUL or other control."""


class Unreadable(StrEnum):
    """Why bytes are no entry for this reader. Each is a miss and a counter's name."""

    LENGTH = "length"
    """Shorter or longer than its head states."""
    MAGIC = "magic"
    """Not written by this package."""
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


class Metadata(msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """The fields of a value and the first ones of every other kind. Their order is the format."""

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


class _Response(Metadata, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    status: Annotated[int, msgspec.Meta(ge=200, le=999)]
    headers: tuple[tuple[bytes, bytes], ...]
    etag: bytes | None
    last_modified: bytes | None


class _Variants(Metadata, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    fields: tuple[bytes, ...]


_Digest: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=1, max_length=64)]


class _VersionedValue(Metadata, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    data_version: _Digest


class _VersionedResponse(
    _Response, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    data_version: _Digest


_VERSIONED = (_VersionedResponse, _VersionedValue)

READ = {
    RESPONSE: msgspec.msgpack.Decoder(_Response).decode,
    VARIANTS: msgspec.msgpack.Decoder(_Variants).decode,
    VALUE: msgspec.msgpack.Decoder(Metadata).decode,
    RESPONSE | VERSIONED: msgspec.msgpack.Decoder(_VersionedResponse).decode,
    VALUE | VERSIONED: msgspec.msgpack.Decoder(_VersionedValue).decode,
}
_write = msgspec.msgpack.Encoder().encode


def split_entry(entry: Entry) -> tuple[int, tuple[Any, ...], bytes]:
    """The kind, the fields that its metadata adds, and the body."""
    payload, version = entry.payload, entry.data_version
    if isinstance(payload, Variants):
        return VARIANTS, (payload.fields,), b""
    flag, added = (0, ()) if version is None else (VERSIONED, (version,))
    if isinstance(payload, StoredResponse):
        p = payload
        fields = (p.status, p.headers, p.etag, p.last_modified)
        return RESPONSE | flag, (*fields, *added), p.body
    return VALUE | flag, added, payload


def metadata_of(
    e: Entry,
    extra: tuple[Any, ...],
    size: int,
    now: float,
    wall: float,
    namespace: str,
    version: str,
) -> bytes:
    """The metadata of an entry, encoded.

    Raises:
        SerializationError: If it cannot be written.
    """
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


def payload_of(metadata: Metadata, body: bytes, *, signed: bool) -> Payload | Unreadable:
    """The payload, or why its field lines must not be sent.

    Args:
        metadata: What was read.
        body: Its body, decompressed.
        signed: Whether a MAC says that a holder of the secret has written it.
    """
    if isinstance(metadata, _Response):
        m = metadata
        if not (signed or _may_be_sent(m.headers)):
            return Unreadable.HEADERS
        return StoredResponse(m.status, m.headers, body, m.etag, m.last_modified)
    if isinstance(metadata, _Variants):
        return Variants(metadata.fields) if _are_names(metadata.fields) else Unreadable.HEADERS
    return body


def _may_be_sent(headers: Headers) -> bool:
    values = b"".join(map(_value_of, headers))
    return not values.translate(None, _VALUE_BYTES) and _are_names([*map(_name_of, headers)])


_name_of: Callable[[Header], bytes] = itemgetter(0)
_value_of: Callable[[Header], bytes] = itemgetter(1)


def _are_names(names: Sequence[bytes]) -> bool:
    return b"" not in names and not b"".join(names).translate(None, _NAME_BYTES)


def _are_finite(*times: float) -> bool:
    """Whether all are finite: an infinity or NaN makes the sum infinite or NaN."""
    return sum(times) * 0.0 == 0.0


def rebuilt(
    m: Metadata, payload: Payload, born: Born, now: float, wall: float, remaining: float | None
) -> Entry | Unreadable:
    """The entry with its times on this node's clock, shortened by what has passed since."""
    # A stamp from the future means that clocks disagree: that shortens the life too.
    passed = abs(wall - m.written)
    keep_for, refresh_in = m.keep_for, m.refresh_in
    if remaining is None:
        left = keep_for - passed
    else:
        # Conditions, as each hit of a shared tier comes here, and `min` is a call.
        skew = keep_for * _SKEW_SHARE
        beyond = passed - (skew if skew < MAX_SKEW else MAX_SKEW)  # noqa: FURB136
        by_stamp = keep_for - beyond if beyond > 0.0 else keep_for
        left = by_stamp if by_stamp < remaining else remaining  # noqa: FURB136
    times = m.age + m.fresh_for + keep_for + left + (refresh_in or 0.0)
    # As `_are_finite`: an infinity or NaN makes the sum infinite or NaN.
    if (times + passed + m.stale_while_revalidate + m.stale_if_error) * 0.0 != 0.0:
        return Unreadable.CORRUPT
    keep_until = now + left
    if keep_until <= now:  # what is too small to be added counts as none
        return Unreadable.EXPIRED
    elapsed = keep_for - left
    return Entry(
        key=m.key,
        payload=payload,
        born=born,
        created=now - m.age - elapsed,
        fresh_until=now + m.fresh_for - elapsed,
        keep_until=keep_until,
        filled_at=now,
        reuse=reuse_of(
            m.stale_while_revalidate,
            m.stale_if_error,
            always_validate=m.always_validate,
            stale_allowed=m.stale_allowed,
            immutable=m.immutable,
        ),
        refresh_at=_NEVER if refresh_in is None else now + refresh_in - elapsed,
        path=m.path,
        route=m.route,
        name=m.name,
        tags=m.tags,
        data_version=m.data_version if isinstance(m, _VERSIONED) else None,
    )
