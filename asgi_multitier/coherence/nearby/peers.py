"""How the workers of one machine find and wake each other: a datagram socket each.

A worker's socket lies in the application's directory; the others are those that lie there too. A
socket that refuses belongs to a process that has died, and is taken away by whoever finds it. No
file is opened and nothing is looked at again and again: the event loop wakes when a datagram comes.
A datagram that finds the receiver's queue full is not needed: what lies in the queue wakes it.
"""

import asyncio
import os
import socket
import weakref
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from .directory import make, places

HELLO: Final = b"h"
"""A worker is there: whoever was alone is not any more. Answered by `HERE` or `MOVED`."""

HERE: Final = b"a"
"""The sender follows the common log."""

LOOK: Final = b"l"
"""There is something new in the common log."""

LOST: Final = b"x"
"""The sender has invalidated something and cannot write it: nothing of before may be used."""

MOVED: Final = b"m"
"""The sender follows the log of a server that all of this machine reach."""

_AGAIN = 0.05
_SUFFIX = ".s"
_MOST = 256

_own: dict[int, str] = {}


def _process() -> str:
    """A name of this process; a forked one takes another."""
    pid = os.getpid()
    if pid not in _own:
        _own.clear()
        _own[pid] = token_hex(4)
    return _own[pid]


class Door:
    """A worker's own socket, and the way to the others'.

    Args:
        namespace: Of the application.
        heard: Called in the event loop with what came and the name of who sent it.

    Attributes:
        directory: Where it lies, once it was opened.
    """

    def __init__(self, namespace: str, heard: Callable[[bytes, str], None]) -> None:
        self.directory: Path | None = None
        self._namespace = namespace
        self._heard = heard
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
    def is_lost(self) -> bool:
        """Whether its socket was taken away, so that nobody finds it."""
        return self.is_open and not os.path.lexists(os.path.join(self.directory or "", self._name))

    def open(self) -> None:
        """Have a socket that the running event loop listens to.

        Raises:
            OSError: If there can be none.
        """
        if not self.is_open:
            self._release(inherited=True)
            self._bind()
        self._listen()

    def _bind(self) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise OSError("this system has no Unix sockets")
        failure = OSError("no place")
        # Programs with other variables in their environment look elsewhere first: where somebody
        # lives, there they meet.
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
            # Only what can be sent to has its name: one that refuses is taken for a dead one's.
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
            loop.add_reader(number, self._ready)
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
            self._heard(data[:1], data[1:].decode("utf-8", "replace"))

    def tell(self, what: bytes, but: AbstractSet[str] = frozenset()) -> set[str]:
        """Send it to every other worker but those; the names of those who live."""
        if self._socket is None or self.directory is None:
            return set()
        with suppress(OSError):
            names = os.listdir(self.directory)
            others = (name for name in names if name.endswith(_SUFFIX) and name[0] != ".")
            wanted = [name for name in others if self._is_other(name) and name not in but]
            return {name for name in wanted if self.answer(name, what)}
        return set()

    def _is_other(self, name: str) -> bool:
        """Whether it is another process's."""
        return not name.startswith(_process())

    def answer(self, name: str, what: bytes) -> bool:
        """Send it to one worker; whether that one lives."""
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

    def insist(self, what: bytes) -> None:
        """Send it to every other worker, again and again to those whose queue is full."""
        self.tell(what)
        self._insist(what, set(self._full))

    def _insist(self, what: bytes, names: set[str]) -> None:
        if names and self._loop is not None:
            self._loop.call_later(_AGAIN, self._try_again, what, names)

    def _try_again(self, what: bytes, names: set[str]) -> None:
        for name in names:
            self.answer(name, what)
        self._insist(what, names & self._full)

    def close(self) -> None:
        """Take the socket away. May be called twice."""
        if self._socket is not None and self.is_open:
            self._release()
            self._left = self._trace()

    @property
    def was_missed(self) -> bool:
        """Whether another worker may have come since this one was closed."""
        return not self.is_open and self._left != self._trace()

    def _trace(self) -> tuple[int, int]:
        """Changes when a worker comes or goes."""
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
    """Leave nothing behind that nobody else uses."""
    made.close()
    if pid == os.getpid():
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            path.parent.rmdir()  # only where nothing is left in it
