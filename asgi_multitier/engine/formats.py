"""How entries are written to shared tiers and into the log's records, and read from there."""

import time
from collections.abc import Sequence

import msgspec

from .._types import Clock
from ..entry import Entry
from ..tiers.base import Held
from ..tiers.codec import decode, encode
from ..tiers.metadata import Unreadable


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """How entries are written, and which are read.

    Attributes:
        namespace, version: Bound into every entry; an entry of another is not read.
        secret: Keys the MAC; None for no MAC.
        max_entry: Bytes of the largest body that is read.
        compress_over: Bytes of body above which it is compressed; None for never.
        clock: Monotonic seconds, the clock of the entries.
        wall: Unix seconds, for entries in tiers that cannot tell what is left.
    """

    namespace: str = ""
    version: str = ""
    secret: bytes | None = None
    max_entry: int = 1024 * 1024
    compress_over: int | None = None
    clock: Clock = time.monotonic
    wall: Clock = time.time

    def written(self, entry: Entry) -> bytes:
        """The entry's bytes.

        Raises:
            SerializationError: If it cannot be written.
        """
        return encode(
            entry,
            now=self.clock(),
            wall=self.wall(),
            secret=self.secret,
            namespace=self.namespace,
            version=self.version,
            compress_over=self.compress_over,
        )

    def read(self, value: bytes, key: str, remaining: float | None) -> Entry | Unreadable:
        """The entry, or why these bytes are none.

        Args:
            value: The bytes.
            key: The key that they were found under.
            remaining: Seconds that they have left where they lie; None if that is not known.
        """
        (entry,) = self.read_all((key,), (Held(value, remaining),))
        assert entry is not None  # noqa: S101  # there was something
        return entry

    def read_all(
        self, keys: Sequence[str], replies: Sequence[Held | None]
    ) -> list[Entry | Unreadable | None]:
        """As `read`, for what a tier has returned for several keys at once.

        Args:
            keys: The keys.
            replies: What was found under each of them; None for nothing.
        """
        now, wall = self.clock(), self.wall()
        secret, namespace, version, most = (
            self.secret,
            self.namespace,
            self.version,
            self.max_entry,
        )
        read: list[Entry | Unreadable | None] = []
        for key, held in zip(keys, replies, strict=True):
            if held is None:
                read.append(None)
                continue
            read.append(
                decode(
                    held.value,
                    key=key,
                    now=now,
                    wall=wall,
                    remaining=held.remaining,
                    secret=secret,
                    namespace=namespace,
                    version=version,
                    max_size=most,
                )
            )
        return read
