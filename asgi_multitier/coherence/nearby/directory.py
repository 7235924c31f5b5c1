"""A private directory of this user, one for each application.

Its content is trusted, so no other user may write into it: it is not a symbolic link, belongs to
the user of this process, and denies access to others.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

_NAME = 40
_LONGEST = 100
"""Bytes of a socket's address that every system takes (104 on some, with a zero at the end)."""

_ROOM = 20
_RUNTIME = "/run/user"
_TEMPORARY = "/tmp"  # noqa: S108 (a directory of our own in it)


def places(namespace: str, purpose: str = "") -> list[Path]:
    """The possible paths of an application's directory, the best first.

    Args:
        namespace: The application.
        purpose: What it is for: each purpose has a directory of its own.

    Raises:
        OSError: If there is none.
    """
    if not hasattr(os, "geteuid"):
        raise OSError("this system has no users to keep a directory for")
    found = [base / _called(namespace, purpose) for base in parents()]
    short = [place for place in found if len(os.fsencode(place)) + _ROOM <= _LONGEST]
    if not short:
        raise OSError("no directory with a short enough path")
    return short


def make(place: Path) -> None:
    """Create the directory of an application, if it does not exist.

    Raises:
        OSError: If it cannot be created, or other users may write into it.
    """
    _make(place.parent)
    _make(place)


def is_private(place: Path) -> bool:
    """Whether the directory of an application is there, and only this user may write into it."""
    try:
        _check(place.parent)
        _check(place)
    except OSError:
        return False
    return True


def namespaces(purpose: str = "") -> set[str]:
    """The applications that have, or had, such a directory, without those of long names.

    Args:
        purpose: What it is for.
    """
    found: set[str] = set()
    if not hasattr(os, "geteuid"):
        return found
    for base in parents():
        with suppress(OSError):
            for place in os.listdir(base):
                name = place.rpartition("-")[0]
                if _called(name, purpose) == place:
                    found.add(name)
    return found


def parents() -> Iterator[Path]:
    """The parents of such directories. Unlike `tempfile`, this creates no file to find out."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        yield Path(runtime, "asgi-multitier")
    own = f"asgi-multitier-{os.geteuid()}"
    for temporary in dict.fromkeys((os.environ.get("TMPDIR", ""), _TEMPORARY)):
        if os.path.isabs(temporary):
            yield Path(temporary, own)
    # A system job, as cron starts it, has no environment variable for it.
    yield Path(_RUNTIME, str(os.geteuid()), "asgi-multitier")


def _called(namespace: str, purpose: str = "") -> str:
    # Under pytest each test is isolated, along with the processes that it starts.
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    world = "\0".join((namespace, test, worker, *([purpose] if purpose else ())))
    digest = blake2b(os.fsencode(world), digest_size=4).hexdigest()
    return f"{namespace[:_NAME]}-{digest}"


def _make(path: Path) -> None:
    with suppress(FileExistsError):
        path.mkdir(0o700)
    _check(path)


def _check(path: Path) -> None:
    state = path.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o077:
        raise PermissionError(f"{path} is not a directory of this user alone (mode 0700)")
