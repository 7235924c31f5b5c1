"""Memcached for tests: a small server of our own, and the real one where it is installed.

The own one speaks as much of the text protocol as a tier needs, over a real socket, so that the
tier's tests run on every machine. The real one shows that it speaks the protocol as it is.
"""

import shutil
import socket
import socketserver
import subprocess
import threading
import time
from contextlib import suppress
from typing import NamedTuple, Protocol, Self

from tests.servers import free_port

PROGRAM = shutil.which("memcached")

LONGEST_KEY = 250
LARGEST_ITEM = 1024 * 1024
"""Bytes of key and value together; the real one counts some 50 more for what it notes of them."""

LARGEST_RELATIVE = 30 * 24 * 3600
"""Seconds; a larger lifetime is the Unix time of the end."""


class MemcachedServer(Protocol):
    """A server on a port of its own, that can be killed and started again."""

    @property
    def url(self) -> str: ...

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""

    def kill(self) -> None:
        """End it and all its connections at once."""


class Item(NamedTuple):
    """What is held for a key.

    Attributes:
        flags: What the client wants back with the value.
        value: The bytes.
        ends: Unix time of the end of its life.
    """

    flags: bytes
    value: bytes
    ends: float


class OwnMemcached:
    """A server in a thread of the tests' process."""

    def __init__(self) -> None:
        self.port = free_port()
        self.items: dict[bytes, Item] = {}
        self.lock = threading.Lock()
        self._server: _Listener | None = None

    @property
    def url(self) -> str:
        return f"memcached://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.items.clear()
        self._server = _Listener(self)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def kill(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def find(self, key: bytes) -> Item | None:
        """What is held for the key and has not ended. The caller holds the lock."""
        item = self.items.get(key)
        return item if item is not None and item.ends > time.time() else None


class _Listener(socketserver.ThreadingTCPServer):
    """Accepts connections, each with a thread, and ends them all when it is closed."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, server: OwnMemcached) -> None:
        self.holder = server
        self.links: set[socket.socket] = set()
        super().__init__(("127.0.0.1", server.port), _Conversation)

    def server_close(self) -> None:
        for link in list(self.links):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        super().server_close()


class _Conversation(socketserver.StreamRequestHandler):
    """One connection: a line or a line and a value comes, and an answer goes."""

    server: _Listener

    def handle(self) -> None:
        self.server.links.add(self.request)
        with suppress(OSError):
            while line := self.rfile.readline():
                name, *words = line.split() or [b""]
                work = getattr(self, f"do_{name.decode('latin-1')}", None)
                self.wfile.write(work(*words) if work else b"ERROR\r\n")
        self.server.links.discard(self.request)

    def do_version(self) -> bytes:
        return b"VERSION 1.6.0 of the tests\r\n"

    def do_get(self, *keys: bytes) -> bytes:
        if any(len(key) > LONGEST_KEY for key in keys):
            return b"CLIENT_ERROR bad command line format\r\n"
        with self.server.holder.lock:
            found = [(key, self.server.holder.find(key)) for key in keys]
        return b"".join([_shown(key, item) for key, item in found if item]) + b"END\r\n"

    def do_set(self, key: bytes, flags: bytes, life: bytes, size: bytes) -> bytes:
        return self._store(key, flags, int(life), int(size), always=True)

    def do_add(self, key: bytes, flags: bytes, life: bytes, size: bytes) -> bytes:
        return self._store(key, flags, int(life), int(size), always=False)

    def _store(self, key: bytes, flags: bytes, life: int, size: int, *, always: bool) -> bytes:
        value = self.rfile.read(size + 2)[:-2]
        holder = self.server.holder
        if len(key) > LONGEST_KEY:
            return b"CLIENT_ERROR bad command line format\r\n"
        with holder.lock:
            if len(key) + size > LARGEST_ITEM:
                # As the real one: what was held before is gone, too.
                holder.items.pop(key, None)
                return b"SERVER_ERROR object too large for cache\r\n"
            if not always and holder.find(key):
                return b"NOT_STORED\r\n"
            holder.items[key] = Item(flags, value, _end(life))
        return b"STORED\r\n"

    def do_delete(self, key: bytes) -> bytes:
        holder = self.server.holder
        with holder.lock:
            found = holder.find(key)
            holder.items.pop(key, None)
        return b"DELETED\r\n" if found else b"NOT_FOUND\r\n"


def _shown(key: bytes, item: Item) -> bytes:
    return b"VALUE %b %b %d\r\n%b\r\n" % (key, item.flags, len(item.value), item.value)


def _end(life: int) -> float:
    if not life:
        return float("inf")
    return life if life > LARGEST_RELATIVE else time.time() + life


class RealMemcached:
    """One memcached process."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"memcached://127.0.0.1:{self.port}"

    def start(self) -> None:
        assert PROGRAM is not None
        command = [PROGRAM, "-u", "nobody", "-l", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"memcached did not start on port {self.port}")
            time.sleep(0.005)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"version\r\n")
                return connection.recv(64).startswith(b"VERSION")
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
