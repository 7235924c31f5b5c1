"""A load generator for machines without `wrk`: keep-alive connections, one request each."""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

import uvloop


class _Caller(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], counts: list[int]) -> None:
        self._requests = requests
        self._counts = counts
        self._left = -1
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # that of uvloop is no subclass
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            head, found, rest = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            self._left = _length(head) - len(rest)
            self._head = b""
        else:
            self._left -= len(data)
        if self._left <= 0:
            self._left = -1
            self._counts[0] += 1
            self._transport.write(next(self._requests))


def _length(head: bytes) -> int:
    """Bytes of content that follow."""
    if b" 304 " in head[:16]:
        return 0
    if b" 200 " not in head[:16]:
        print("Non-2xx")
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


async def main(
    url: str, seconds: float, connections: int, keys: int, lines: dict[str, str]
) -> None:
    """Load the URL and print requests per second."""
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or 80
    fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    end = f" HTTP/1.1\r\nHost: {host}:{port}\r\n{fields}\r\n"
    paths = [parts.path.replace("{}", str(number)) for number in range(keys)]
    requests = itertools.cycle([f"GET {path}{end}".encode() for path in paths])
    counts = [0]
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: _Caller(requests, counts), host, port)
    begun = time.perf_counter()
    await asyncio.sleep(seconds)
    print(f"Requests/sec: {counts[0] / (time.perf_counter() - begun):.1f}")


if __name__ == "__main__":
    _, _url, _seconds, _connections, _keys, _lines = sys.argv
    uvloop.run(main(_url, float(_seconds), int(_connections), int(_keys), json.loads(_lines)))
