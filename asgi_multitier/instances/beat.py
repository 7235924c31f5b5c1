"""What an instance tells of itself, and its bytes: MessagePack, with a MAC if a secret is set.

No key, path, tag or user is in it. Fields that a release does not know are ignored, and those that
an older one does not write have defaults, so that releases may be mixed.
"""

import hmac
import zlib
from collections.abc import Iterable
from typing import Annotated, TypeAlias

import msgspec

from ..coherence.beats import StoredBeat

_MAC_LENGTH = 16

_Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=255)]
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
_Number: TypeAlias = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
"""A number that JSON can express: neither infinite nor none at all."""

_States: TypeAlias = Annotated[dict[_Name, _Name], msgspec.Meta(max_length=16)]


class Beat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an instance tells of itself.

    Attributes:
        node: Its random id, that of its records in the log.
        host, pid: Where it runs.
        application: The application's own name; "" if it has none, or is not known.
        release: `CacheConfig.version`.
        version: The version of this package.
        started: Unix seconds when its cache was started, by its own clock.
        mode: Whether it uses its cache, `"on"` or `"off"`.
        uptime: Seconds since then, by a clock that nothing sets; 0 if not known.
        closing: Whether this is its last beat.
        gen, seq: The position in the log that it has applied.
        trusted: Whether its contact with the log is recent enough.
        queued: Selectors that it could not send yet.
        lag: Seconds that records took lately, the 99th percentile.
        clock_offset: Seconds by which the store's clock is ahead of its own; None if not known.
        requests: All requests and calls since its start.
        hits: Those that no run of the origin of their own answered.
        misses: Those that one did.
        l1_entries, l1_bytes, l1_limit: The first tier; None where it cannot tell.
        breakers: The circuit breaker of each shared tier, by the tier's name.
        url: Where its admin application is reached; "" if that is not configured.
    """

    node: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    host: _Name = ""
    pid: _Count = 0
    application: _Name = ""
    release: _Name = ""
    version: _Name = ""
    started: _Number = 0.0
    uptime: _Number = 0.0
    mode: _Name = "on"
    closing: bool = False
    gen: Annotated[str, msgspec.Meta(max_length=64)] = ""
    seq: _Count = 0
    trusted: bool = True
    queued: _Count = 0
    lag: _Number = 0.0
    clock_offset: _Number | None = None
    requests: _Count = 0
    hits: _Count = 0
    misses: _Count = 0
    l1_entries: _Count | None = None
    l1_bytes: _Count | None = None
    l1_limit: _Count | None = None
    breakers: _States = {}
    url: _Name = ""


class Heard(msgspec.Struct, frozen=True):
    """A beat as read.

    Attributes:
        at: Unix seconds when it was stored, by the clock of the store.
        beat: What it tells; None if it cannot be read: it is damaged, or of another secret.
    """

    at: float
    beat: Beat | None


class BeatCodec:
    """Turns beats into bytes and back.

    Args:
        namespace: Covered by the MAC.
        secret: Key of the MAC; None for a checksum.
    """

    __slots__ = ("_context", "_decoder", "_encoder", "_secret")

    def __init__(self, namespace: str, secret: bytes | None = None) -> None:
        self._context = f"beat:{len(namespace)}:{namespace}:".encode()
        self._secret = secret
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Beat)

    def encode(self, beat: Beat) -> tuple[bytes, bytes]:
        """The beat's bytes, and their MAC or, without a secret, their checksum."""
        data = self._encoder.encode(beat)
        return data, self._mac(data)

    def heard(self, stored: Iterable[StoredBeat]) -> list[Heard]:
        """The beats as read."""
        return [Heard(one.at, self._decoded(one.data, one.mac)) for one in stored]

    def _decoded(self, data: bytes, mac: bytes) -> Beat | None:
        if not hmac.compare_digest(mac, self._mac(data)):
            return None
        try:
            return self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _mac(self, data: bytes) -> bytes:
        text = self._context + data
        if self._secret is None:
            return zlib.crc32(text).to_bytes(4, "big")
        return hmac.digest(self._secret, text, "sha256")[:_MAC_LENGTH]
