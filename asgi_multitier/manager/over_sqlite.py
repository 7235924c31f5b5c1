"""What a manager has in a file of SQLite. Loaded by those managers that use one."""

import os

from .._types import Clock
from ..coherence.sqlite import SQLiteLog
from ..coherence.sqlite import namespaces as sqlite_namespaces
from ..tiers.sqlite import SQLiteTier


class OverSQLite:
    """The parts of one manager that are in a file. Making it opens nothing.

    Args:
        path: The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path

    def tier(self, namespace: str) -> SQLiteTier:
        """The tier in the file."""
        return SQLiteTier(self._path, namespace=namespace)

    def log(self, namespace: str, *, maxlen: int, secret: bytes | None, clock: Clock) -> SQLiteLog:
        """The log next to it."""
        path = self._path
        return SQLiteLog(path, namespace=namespace, maxlen=maxlen, secret=secret, clock=clock)

    async def namespaces(self) -> set[str]:
        """The applications that have a log there.

        Raises:
            BackendError: If that cannot be found out.
        """
        return await sqlite_namespaces(self._path)
