"""Which number a worker has: the smallest that no other process holds.

A number is held by a lock on a file, which the kernel releases when the process ends, however it
ends. So a worker that replaces another one gets its number, and numbers stay below the most workers
that there were at the same time.
"""

import os
import weakref
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

MOST = 256
"""Workers of one application that have a number."""

_held: "weakref.WeakSet[Claim]" = weakref.WeakSet()


def has_locks() -> bool:
    """Whether this system has file locks."""
    return fcntl is not None


class Claim:
    """A number that this process holds.

    Args:
        number: The number.
        path: The file that is locked.
        lock: Its descriptor.

    Attributes:
        number, path: As above.
    """

    def __init__(self, number: int, path: Path, lock: int) -> None:
        self.number = number
        self.path = path
        self._lock: int | None = lock
        self._pid = os.getpid()
        _held.add(self)

    def release(self) -> None:
        """Leave the number to others. May be called twice."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        if self._pid == os.getpid() and _is_there(self.path, lock):
            with suppress(OSError):
                self.path.unlink()  # before it is unlocked: who locks it then finds it gone
        # In a forked process this closes a copy: the parent's holds the lock.
        os.close(lock)


def claim(directory: Path) -> Claim:
    """Take the smallest free number.

    Args:
        directory: Where the files are; of this user alone.

    Raises:
        OSError: If all numbers are taken, or a file cannot be made.
    """
    for number in range(MOST):
        path = directory / f"{number}.lock"
        lock = locked(path)
        if lock is not None:
            return Claim(number, path, lock)
    raise OSError(f"{MOST} workers have a number already")


def locked(path: Path) -> int | None:
    """A descriptor of the locked file; None if another process has locked it."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(path, lock):
                return lock
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise
        # Its holder has removed it since it was opened.
        os.close(lock)


def _is_there(path: Path, lock: int) -> bool:
    """Whether others that open the file find the one that is locked."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(lock))
    return False


def _forked() -> None:
    # A child that never uses the cache must not hold a number after its parent has ended.
    for held in list(_held):
        held.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
