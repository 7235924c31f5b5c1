"""The sockets of workers: where they are, and who may use them."""

import os
import re
import socket
import struct
import weakref
from contextlib import suppress
from pathlib import Path

from ..coherence.nearby.directory import is_private, make, namespaces, places
from .claims import Claim, claim, has_locks

_PURPOSE = "workers"
_NAME = re.compile(r"([0-9]{1,3})\.sock")
_WAITING = 64
"""Connections that wait to be accepted."""

_TRIES = 3
"""Times that a directory is made, if others remove it at the same moment."""

_CREDENTIALS = struct.Struct("3i")
"""Process, user and group of a peer, as Linux has them."""


def has_sockets() -> bool:
    """Whether this system has what the workers need: Unix sockets, file locks, and users."""
    return hasattr(socket, "AF_UNIX") and has_locks() and hasattr(os, "geteuid")


class Listener:
    """A number with a socket, from the moment at which it is made.

    Raises:
        OSError: If that is impossible here.

    Args:
        namespace: The application's name.

    Attributes:
        number: The worker's number.
        socket: The socket; it listens, and does not block.
    """

    def __init__(self, namespace: str) -> None:
        directory, claimed = _claimed(namespace)
        self.number: int = claimed.number
        self._path = directory / f"{self.number}.sock"
        try:
            self.socket: socket.socket = _bound(self._path)
            self._made = os.lstat(self._path)
        except OSError:
            claimed.release()
            raise
        self._end = weakref.finalize(
            self, _end, self.socket, self._path, self._made, claimed, os.getpid()
        )

    @property
    def is_removed(self) -> bool:
        """Whether a cleaner of temporary files has removed the socket's file."""
        return not _is_there(self._path, self._made)

    def close(self) -> None:
        """Close and remove the socket, and the directory if it is empty then.

        In a forked process what is the parent's stays.
        """
        self._end()


def _end(
    listening: socket.socket, path: Path, made: os.stat_result, claimed: Claim, pid: int
) -> None:
    listening.close()
    own = pid == os.getpid()
    if own and _is_there(path, made):
        with suppress(OSError):
            path.unlink()
    claimed.release()
    if own:
        with suppress(OSError):
            path.parent.rmdir()  # fails unless it is empty


def _is_there(path: Path, made: os.stat_result) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.lstat(path), made)
    return False


def paths(namespace: str) -> dict[int, Path]:
    """The sockets of an application's workers, by number; some may be of processes that ended."""
    with suppress(OSError):
        for place in places(namespace, _PURPOSE):
            if found := _sockets(place):
                return found
    return {}


def applications() -> set[str]:
    """The namespaces of applications that have, or had, workers here; not those of long names."""
    return namespaces(_PURPOSE)


def _sockets(place: Path) -> dict[int, Path]:
    """What a directory holds; nothing where another user could have placed it."""
    if not is_private(place):
        return {}
    with suppress(OSError):
        names = (_NAME.fullmatch(name) for name in os.listdir(place))
        return dict(sorted((int(one[1]), place / one[0]) for one in names if one is not None))
    return {}


def is_own_user(connection: socket.socket) -> bool:
    """Whether the peer runs as this user, where the system tells; its directory admits no other."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(told)[1]
    return user == os.geteuid()


def _claimed(namespace: str) -> tuple[Path, Claim]:
    """The directory, and this worker's number in it."""
    failures: list[OSError] = []
    # Processes with another environment try other places first: take the one that is in use.
    for place in sorted(places(namespace, _PURPOSE), key=lambda place: not _sockets(place)):
        for _ in range(_TRIES):
            try:
                make(place)
                return place, claim(place)
            except FileNotFoundError as error:
                failures.append(error)  # the last one there has removed the directory just now
            except OSError as error:
                failures.append(error)
                break
    raise failures[0]  # of the place that is the best


def _bound(path: Path) -> socket.socket:
    with suppress(FileNotFoundError):
        path.unlink()  # of a process that was killed: its number is ours
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.bind(os.fspath(path))
        path.chmod(0o600)
        made.listen(_WAITING)
    except OSError:
        made.close()
        raise
    return made
