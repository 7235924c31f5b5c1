"""What streams offer: the protocol of `CacheManager(streams=...)`."""

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from .redis.streams import Fields, StreamEntry


@runtime_checkable
class Streams(Protocol):
    """Named, ordered, capped lists of entries, as `redis.RedisStreams` has them.

    Every method but `close` raises `BackendError` where the back end does not answer.
    """

    async def publish(
        self, stream: str, fields: Fields, *, maxlen: int | None = 1000, exact: bool = False
    ) -> str:
        """Append an entry and trim the stream to about, or exactly, `maxlen`; the entry's id."""

    async def read_latest(self, stream: str, count: int = 10) -> list[StreamEntry]:
        """The youngest entries, the youngest first."""

    async def read(
        self, stream: str, last_id: str = "$", count: int = 10, *, block: float | None = None
    ) -> list[StreamEntry]:
        """Entries after an id, the oldest first, waiting up to `block` seconds for the first."""

    def tail(
        self, stream: str, last_id: str = "$", *, count: int = 100
    ) -> AsyncIterator[StreamEntry]:
        """Entries after an id, for ever, each once."""

    async def create_group(
        self, stream: str, group: str, *, start: str = "$", exist_ok: bool = True
    ) -> bool:
        """Make a consumer group; whether it was made."""

    async def read_group(
        self,
        stream: str,
        group: str,
        consumer: str,
        count: int = 10,
        *,
        last_id: str = ">",
        block: float | None = None,
    ) -> list[StreamEntry]:
        """Entries for one consumer of a group."""

    async def ack(self, stream: str, group: str, *ids: str) -> int:
        """Acknowledge entries; how many had been waiting for it."""

    async def close(self) -> None:
        """Release what it holds. May be called twice."""
