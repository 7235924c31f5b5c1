"""How the workers of one machine find and wake each other: by a datagram socket each.

All sockets are in the application's directory. A socket that refuses belongs to a dead process and
is removed by the worker that finds it. Nothing polls: the event loop wakes when a datagram arrives.
A datagram that finds the receiver's queue full is not needed, since the queued ones wake it.
"""

import asyncio
import os
import socket
import weakref
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from contextvars import Context
from pathlib import Path
from secrets import token_hex
from typing import Final

from .directory import make, places

HELLO: Final = b"h"
"""A worker has started: no other is alone any more. Answered by `FOLLOWING` or `MOVED`."""

FOLLOWING: Final = b"a"
"""The sender follows the common log."""

CHANGED: Final = b"l"
"""The common log has new records."""

LOST: Final = b"x"
"""The sender has an invalidation that it cannot write: nothing older than this may be used."""

MOVED: Final = b"m"
"""The sender follows the log of a server that all workers of this machine reach."""

_AGAIN = 0.05
_SUFFIX = ".s"
_MOST = 256

_own: dict[int, str] = {}


def _process() -> str:
    """The name of this process; a forked one has another."""
    pid = os.getpid()
    if pid not in _own:
        _own.clear()
        _own[pid] = token_hex(4)
    return _own[pid]


class Peers:
    """This worker's socket, and those of the others.

    Args:
        namespace: The application's name.
        on_message: Called in the event loop with each message and its sender's name.

    Attributes:
        directory: The directory of the sockets; None before `open`.
    """

    def __init__(self, namespace: str, on_message: Callable[[bytes, str], None]) -> None:
        self.directory: Path | None = None
        self._namespace = namespace
        self._on_message = on_message
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._name = ""
        self._left = (0, 0)
        self._full: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether this process has a socket there."""
        return self._socket is not None and self._name.startswith(_process())

    @property
    def is_removed(self) -> bool:
        """Whether the socket's file was removed, so that other workers cannot find it."""
        return self.is_open and not os.path.lexists(os.path.join(self.directory or "", self._name))

    def open(self) -> None:
        """Open the socket, and read it in the running event loop.

        Raises:
            OSError: If that is impossible here.
        """
        if not self.is_open:
            self._release(inherited=True)
            self._bind()
        self._listen()

    def _bind(self) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise OSError("this system has no Unix sockets")
        failure = OSError("no place")
        # Processes with another environment try other places first: take the one that is in use.
        for place in sorted(places(self._namespace), key=_is_empty):
            try:
                make(place)
                return self._bind_in(place)
            except OSError as error:
                failure = error
        raise failure

    def _bind_in(self, directory: Path) -> None:
        self._name = f"{_process()}{token_hex(3)}{_SUFFIX}"
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        hidden, path = directory / f".{self._name}", directory / self._name
        try:
            made.setblocking(False)
            made.bind(os.fspath(hidden))
            # Renamed once it is bound: a socket that refuses counts as a dead worker's.
            hidden.rename(path)
        except OSError:
            made.close()
            raise
        self._socket, self.directory = made, directory
        weakref.finalize(self, _end, made, path, os.getpid())

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        if self._socket is None or self._loop is loop:
            return
        number, old = self._socket.fileno(), self._loop
        if old is not None and not old.is_closed():
            old.call_soon_threadsafe(old.remove_reader, number)
        try:
            Context().run(loop.add_reader, number, self._ready)
        except NotImplementedError:
            self._release()
            raise OSError("this event loop does not listen to sockets") from None
        self._loop = loop

    def _ready(self) -> None:
        for _ in range(_MOST):
            if self._socket is None:
                return
            try:
                data = self._socket.recv(_MOST)
            except OSError:  # nothing more
                return
            self._on_message(data[:1], data[1:].decode("utf-8", "replace"))

    def broadcast(self, what: bytes, but: AbstractSet[str] = frozenset()) -> set[str]:
        """Send a message to every other worker except `but`; the names of those alive."""
        if self._socket is None or self.directory is None:
            return set()
        with suppress(OSError):
            names = os.listdir(self.directory)
            others = (name for name in names if name.endswith(_SUFFIX) and name[0] != ".")
            wanted = [name for name in others if self._is_other(name) and name not in but]
            return {name for name in wanted if self.send(name, what)}
        return set()

    def _is_other(self, name: str) -> bool:
        """Whether it belongs to another process."""
        return not name.startswith(_process())

    def send(self, name: str, what: bytes) -> bool:
        """Send a message to one worker; whether it is alive."""
        if self._socket is None or self.directory is None or "/" in name:
            return False
        path = self.directory / name
        self._full.discard(name)
        try:
            self._socket.sendto(what + self._name.encode(), os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(OSError):
                path.unlink()
            return False
        except OSError:  # its queue is full
            self._full.add(name)
        return True

    def broadcast_until_taken(self, what: bytes) -> None:
        """Send a message to every other worker, and retry those whose queue is full."""
        self.broadcast(what)
        self._insist(what, set(self._full))

    def _insist(self, what: bytes, names: set[str]) -> None:
        if names and self._loop is not None:
            self._loop.call_later(_AGAIN, self._try_again, what, names, context=Context())

    def _try_again(self, what: bytes, names: set[str]) -> None:
        for name in names:
            self.send(name, what)
        self._insist(what, names & self._full)

    def close(self) -> None:
        """Close and remove the socket. May be called twice."""
        if self._socket is not None and self.is_open:
            self._release()
            self._left = self._trace()

    @property
    def may_have_missed(self) -> bool:
        """Whether another worker may have started since this socket was closed."""
        return not self.is_open and self._left != self._trace()

    def _trace(self) -> tuple[int, int]:
        """A value that changes when a worker starts or stops."""
        try:
            state = os.stat(self.directory or "")
        except OSError:
            return (0, 0)
        return (state.st_ino, state.st_mtime_ns)

    def _release(self, *, inherited: bool = False) -> None:
        made, self._socket = self._socket, None
        loop, self._loop = self._loop, None
        if made is None:
            return
        if loop is not None and not inherited and not loop.is_closed():
            loop.remove_reader(made.fileno())
        made.close()
        if not inherited and self.directory is not None:
            with suppress(OSError):
                (self.directory / self._name).unlink()


def _is_empty(place: Path) -> bool:
    """Whether no living worker has a socket there."""
    try:
        names = os.listdir(place)
    except OSError:
        return True
    return not any(_lives(place / name) for name in names if name.endswith(_SUFFIX))


def _lives(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made, suppress(OSError):
        made.connect(os.fspath(path))
        return True
    return False


def _end(made: socket.socket, path: Path, pid: int) -> None:
    """Close the socket; remove its file, and the directory if it is empty."""
    made.close()
    if pid == os.getpid():
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            path.parent.rmdir()  # fails unless it is empty
