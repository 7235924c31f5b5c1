"""A custom shared tier with its eight methods. The contract suite tests it:

class TestDirectoryTier(SharedTierContract):
    async def make(self) -> SharedTier:
        return DirectoryTier(a_new_directory())
"""

import asyncio
import hashlib
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from asgi_multitier import BackendError, CacheManager, NullLocalTier, NullTier, TierConfig
from asgi_multitier.tiers.base import Held

T = TypeVar("T")

_EXPIRES = struct.Struct(">d")


class DirectoryTier:
    """One file for each key: the time of expiry, then the value."""

    def __init__(self, directory: str | os.PathLike[str], name: str = "directory") -> None:
        self.name = name
        self._directory = Path(directory)

    def __repr__(self) -> str:
        return f"<DirectoryTier {self._directory}>"

    def files(self) -> list[Path]:
        names = os.listdir(self._directory)
        return [self._directory / name for name in names if name.endswith(".entry")]

    async def get(self, key: str) -> Held | None:
        return (await self.get_many([key]))[0]

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        return await self._run(lambda: [self._read(key) for key in keys])

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        await self.set_many({key: (value, ttl)})

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        def write() -> None:
            for key, item in items.items():
                self._write(key, *item)

        await self._run(write)

    async def delete(self, keys: Iterable[str]) -> int:
        names = list(keys)
        return await self._run(lambda: sum(self._remove(key) for key in names))

    async def clear(self) -> None:
        def unlink() -> None:
            for path in self.files():
                path.unlink()

        await self._run(unlink)

    async def ping(self) -> None:
        await self._run(lambda: next(os.scandir(self._directory), None))

    async def close(self) -> None:
        """No file is kept open."""

    def _path(self, key: str) -> Path:
        return self._directory / f"{hashlib.sha256(key.encode()).hexdigest()}.entry"

    def _read(self, key: str) -> Held | None:
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        left = _EXPIRES.unpack_from(data)[0] - time.time()
        return Held(data[_EXPIRES.size :], left) if left > 0 else None

    def _write(self, key: str, value: bytes, ttl: float) -> None:
        path = self._path(key)
        # Written to a temporary file and renamed, so that no reader sees half of it.
        aside = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
        aside.write_bytes(_EXPIRES.pack(time.time() + ttl) + value)
        aside.replace(path)

    def _remove(self, key: str) -> bool:
        there = self._read(key) is not None
        self._path(key).unlink(missing_ok=True)
        return there

    async def _run(self, work: Callable[[], T]) -> T:
        """Run blocking file operations in a thread; failures become `BackendError`."""
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise BackendError(f"{self._directory}: {error}") from error


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        tier = DirectoryTier(directory)
        async with CacheManager(l2=tier, redis_url=None, namespace="example") as cache:
            await cache.set("k", "kept in a file")
            print("files:", len(tier.files()))
            cache.engine.stack.local.clear()
            print("from the file:", await cache.get("k"))
            print("tiers:", [(tier.name, tier.hits) for tier in cache.tier_stats()])

        # To switch a tier off, use one that stores nothing.
        async with CacheManager(
            tiers=[(NullLocalTier(), TierConfig.l1()), (NullTier(), TierConfig.l2())],
            redis_url=None,
        ) as cache:
            print("computed:", await cache.get_or_compute("k", lambda: 1))
            print("and kept nowhere:", await cache.get("k"))


if __name__ == "__main__":
    asyncio.run(main())
