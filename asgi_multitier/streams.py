"""Streams: an entry of one, and the protocol of `CacheManager(streams=...)`."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

Fields = (
    Mapping[str, "str | bytes | int | float"] | Sequence[tuple[str, "str | bytes | int | float"]]
)
"""What is published: names and values in order. As pairs, a name may come twice."""


class StreamEntry(Mapping[str, str]):
    """One entry: its id, and its fields in order.

    As a mapping it gives the last value of each name; `fields` has all pairs.

    Attributes:
        id: `"<milliseconds>-<number>"`, as the server gave it.
        fields: Pairs of name and value in the order published.
    """

    __slots__ = ("_last", "fields", "id")

    def __init__(self, id: str, fields: Iterable[tuple[str, str]]) -> None:  # noqa: A002 (its name)
        self.id: str = id
        self.fields = tuple(fields)
        self._last = dict(self.fields)

    def __getitem__(self, name: str) -> str:
        return self._last[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, StreamEntry):
            return self.id == other.id and self.fields == other.fields
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self.id, self.fields))

    def __repr__(self) -> str:
        return f"StreamEntry({self.id!r}, {self.fields!r})"


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
