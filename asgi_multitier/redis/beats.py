"""The beats of instances, in a stream of Redis or Valkey in the slot of the log.

The server gives each its id, which begins with the milliseconds of its clock: so instances learn
how far their own clocks are off, without a command for the time.
"""

import math
from typing import Any, Literal

from redis.exceptions import ResponseError

from ..coherence.beats import KEPT, MAX_BEAT, StoredBeat, checked
from .client import Link, one_command, send
from .recipe import RedisClient

LIFETIME = 24 * 3600
"""Seconds that the stream is kept after the last beat."""

_RENEW = 600
_PAGE = 500


class StreamBeats:
    """A `BeatStore` in a stream.

    Args:
        link: The connections.
        namespace: Part of the key's name.

    Attributes:
        key: The stream's key.
    """

    source: Literal["redis", "sqlite"] = "redis"

    def __init__(self, link: Link, namespace: str) -> None:
        self.key: str = f"{{{namespace}}}:nodes"
        self._link = link
        self._renewed_at = 0.0

    async def add(self, data: bytes, mac: bytes) -> StoredBeat:
        """Store a beat. See `BeatStore.add`."""
        checked(data)
        command = ("XADD", self.key, "MAXLEN", "~", KEPT, "*", "d", data, "m", mac)

        async def work(client: RedisClient) -> bytes:
            try:
                return bytes(await send(client, *command))
            except ResponseError as error:
                if "WRONGTYPE" not in str(error):
                    raise
            # What the cache's keys hold of another type was not written by it.
            await send(client, "DEL", self.key)
            return bytes(await send(client, *command))

        place = _place(await self._link.run(work, key=self.key))
        await self._renew(place[0] / 1000)
        return StoredBeat(place, place[0] / 1000, data, mac)

    async def _renew(self, now: float) -> None:
        """Let the stream of a namespace that nothing uses any more end some day."""
        if now - self._renewed_at < _RENEW:
            return
        await self._link.run(one_command("PEXPIRE", self.key, LIFETIME * 1000), key=self.key)
        self._renewed_at = now

    async def last(self, seconds: float) -> list[StoredBeat]:
        """The youngest beats. See `BeatStore.last`."""
        found = await self._back_to("-", seconds)
        return [beat for beat in found if beat.at >= found[-1].at - seconds]

    async def after(self, place: tuple[int, int]) -> list[StoredBeat]:
        """The beats stored after one. See `BeatStore.after`."""
        return await self._back_to(f"({_written(place)}", math.inf)

    async def _back_to(self, start: str, seconds: float) -> list[StoredBeat]:
        """The beats from the youngest back to a place, or to more than so many seconds ago."""
        found: list[StoredBeat] = []
        end = "+"
        while len(found) < KEPT:
            page = await self._page(end, start)
            found += page
            if len(page) < _PAGE or page[-1].at < found[0].at - seconds:
                break
            end = f"({_written(page[-1].id)}"
        return found[:KEPT][::-1]

    async def _page(self, end: str, start: str) -> list[StoredBeat]:
        """Some beats, youngest first."""
        work = one_command("XREVRANGE", self.key, end, start, "COUNT", _PAGE)
        reply: list[Any] = await self._link.run(work, key=self.key)
        return [_stored(name, flat or ()) for name, flat in reply]


def _stored(name: bytes, flat: Any) -> StoredBeat:
    place = _place(name)
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    data = fields.get(b"d", b"")
    # One that is too long is no beat of ours; it stays visible as one that cannot be read.
    data = data if len(data) <= MAX_BEAT else b""
    return StoredBeat(place, place[0] / 1000, data, fields.get(b"m", b""))


def _place(name: bytes) -> tuple[int, int]:
    milliseconds, _, number = name.partition(b"-")
    return int(milliseconds), int(number)


def _written(place: tuple[int, int]) -> str:
    return f"{place[0]}-{place[1]}"
