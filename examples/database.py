"""Typed rows of a database, cached with tags and invalidated by the write that changes them."""

import asyncio
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

from asgi_multitier import CacheManager, CacheStrategy


@dataclass
class User:
    id: int
    name: str


class Users:
    """A table that counts its reads."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        self._db.executemany("INSERT INTO users VALUES (?, ?)", [(1, "Ada"), (2, "Grace")])
        self._db.commit()
        self.reads = 0

    def find(self, number: int) -> User | None:
        self.reads += 1
        row = self._db.execute("SELECT id, name FROM users WHERE id=?", (number,)).fetchone()
        return None if row is None else User(*row)

    def rename(self, number: int, name: str) -> None:
        self._db.execute("UPDATE users SET name=? WHERE id=?", (name, number))
        self._db.commit()

    def close(self) -> None:
        self._db.close()


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        users = Users(Path(directory) / "shop.db")
        async with CacheManager(redis_url=None) as cache:

            @cache.cached("user:{number}", CacheStrategy.MEDIUM_TERM, tags=["users"])
            async def user(number: int) -> User | None:
                return await asyncio.to_thread(users.find, number)

            print(await user(1), "then", await user(1), f"({users.reads} read)")

            # A missing row (None) is cached too.
            print(await user(3), "then", await user(3), f"({users.reads} reads)")

            await asyncio.to_thread(users.rename, 1, "Ada Lovelace")
            await user.invalidate(1)
            print(await user(1), f"({users.reads} reads)")

            # Ten concurrent handlers share one query.
            await cache.invalidate_tags("users")
            before = users.reads
            await asyncio.gather(*(user(2) for _ in range(10)))
            print(f"ten callers, {users.reads - before} query")
        users.close()


if __name__ == "__main__":
    asyncio.run(main())
