"""The client of the mix finds old reads, and only those, over a real socket."""

import asyncio
import contextlib

import pytest

from benchmarks import mix

pytestmark = pytest.mark.no_cover  # it measures the package and asserts nothing of it


class Books:
    """A server of books; a cache that learns of no edit answers reads with version 0 forever."""

    def __init__(self, *, learns: bool) -> None:
        self._learns = learns
        self._versions: dict[bytes, int] = {}
        self.left = asyncio.Semaphore(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until the client leaves."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                writer.write(self._answer(head))
        writer.close()
        self.left.release()

    def _answer(self, head: bytes) -> bytes:
        method, path, _ = head.split(b" ", 2)
        version = self._versions.get(path, 0)
        if method == b"PUT":
            version = self._versions[path] = version + 1
        elif not self._learns:
            version = 0
        content = b'{"version":%d}' % version
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content


@pytest.mark.parametrize("learns", [True, False])
async def test_old_reads_are_found(learns: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are none where the server knows each edit, and many where it knows none."""
    monkeypatch.setattr(mix, "WARM", 0)
    books = Books(learns=learns)

    server = await asyncio.start_server(books.serve, "127.0.0.1", 0)
    async with server:
        figures = await mix.client(server.sockets[0].getsockname()[1], 0.5, 4, 1)
        for _ in range(4):
            await books.left.acquire()

    assert figures["errors"] == 0
    assert figures["reads"] > 0
    assert (figures["old"] == 0) is learns
