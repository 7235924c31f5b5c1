"""The audit stream: what was invalidated, in words that people and other programs can read."""

import asyncio
import time

from ..coherence.log import Operation
from ..errors import BackendError
from .client import Link, send


class Audit:
    """Writes one entry for each operation, beside the request that made it.

    Args:
        link: The way to the server.
        stream: The stream's key.
        maxlen: About how many entries it keeps.

    Attributes:
        errors: Entries that could not be written.
    """

    def __init__(self, link: Link, stream: str, maxlen: int) -> None:
        self.errors = 0
        self._link = link
        self._stream = stream
        self._maxlen = maxlen
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, operation: Operation, node: str) -> None:
        """Begin to write an operation of this node."""
        task = asyncio.create_task(self._write(operation, node), name="asgi-multitier audit")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, operation: Operation, node: str) -> None:
        fields = {**readable(operation), "timestamp": f"{time.time():.3f}", "node": node}
        flat = [text for field in fields.items() for text in field]
        command = ("XADD", self._stream, "MAXLEN", "~", self._maxlen, "*", *flat)
        try:
            await self._link.run(lambda client: send(client, *command), key=self._stream)
        except BackendError:
            self.errors += 1

    async def close(self) -> None:
        """Wait for what is being written; each entry has the time of one operation."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(task for task in self._tasks if task.get_loop() is loop))


def readable(operation: Operation) -> dict[str, str]:
    """The readable form of an operation: what kind, what text, how many."""
    selectors = operation.selectors
    if operation.updates and not selectors and len(operation.updates) == 1:
        return {"type": "update", "key": operation.updates[0].key}
    count = len(selectors) + len(operation.updates)
    if count != 1:
        return {"type": "remove_bulk", "count": str(count)}
    kind, text = selectors[0]
    if kind == "key":
        return {"type": "remove", "key": text}
    if kind == "glob":
        return {"type": "remove_pattern", "pattern": text}
    return {"type": f"remove_{kind}", "key": text}
