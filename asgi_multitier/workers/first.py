"""Which of the workers of a server speaks for all: what all would say is said once.

The first one holds a lock on a file as long as it lives, and a worker that replaces it speaks
again. Workers are known by their parent and the command that they run; what differs is said by
each.
"""

import atexit
import os
import sys
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from ..coherence.nearby.directory import make, places
from .claims import MOST, Claim, has_locks, locked

_kept: list[Claim] = []
"""Locks that are held until this process ends."""


def is_first(namespace: str, text: str) -> bool:
    """Whether this process is the one that says a text; True where that cannot be found out.

    Args:
        namespace: The application.
        text: What is to be said.
    """
    if not has_locks():
        return True
    told = "\0".join((str(os.getppid()), *sys.argv, text))
    name = blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    try:
        directory = places(namespace, "start")[0]
        make(directory)
        path = directory / f"{name}.lock"
        lock = locked(path)
        if lock is None:
            return False
        _kept.append(Claim(0, path, lock))
        _tidy(directory)
    except OSError:
        return True
    return True


@atexit.register
def _leave() -> None:
    for claim in _kept:
        claim.release()


def _tidy(directory: Path) -> None:
    """Remove what processes have left that ended without removing it."""
    mine = {claim.path for claim in _kept}
    for path in list(directory.glob("*.lock"))[:MOST]:
        if path not in mine:
            with suppress(OSError):
                lock = locked(path)
                if lock is not None:
                    Claim(0, path, lock).release()
