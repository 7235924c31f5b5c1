"""A load generator for machines without `wrk`: keep-alive connections, one request each."""

import asyncio
import sys
import time
from urllib.parse import urlsplit

import uvloop


class _Caller(asyncio.Protocol):
    def __init__(self, request: bytes, counts: list[int]) -> None:
        self._request = request
        self._counts = counts
        self._left = -1
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            head, found, rest = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 200 " not in head[:16]:
                print("Non-2xx")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._left = int(length) - len(rest)
            self._head = b""
        else:
            self._left -= len(data)
        if self._left <= 0:
            self._left = -1
            self._counts[0] += 1
            self._transport.write(self._request)


async def main(url: str, seconds: float, connections: int) -> None:
    """Load the URL and print requests per second."""
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or 80
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    counts = [0]
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: _Caller(request, counts), host, port)
    begun = time.perf_counter()
    await asyncio.sleep(seconds)
    print(f"Requests/sec: {counts[0] / (time.perf_counter() - begun):.1f}")


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
