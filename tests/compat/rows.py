"""Which frameworks and servers are tried here: what is installed, or what `COMPAT_ROWS` names."""

import os

from tests.compat.catalogue import FRAMEWORKS, installed
from tests.compat.serving import SERVERS

ROWS = "COMPAT_ROWS"
"""The variable that names rows: `litestar:granian,quart:uvicorn-h11`."""

USUAL = "uvicorn-httptools"
"""The server that every framework is tried on."""

PLAIN = "starlette"
"""The framework that every server is tried with."""


def _named() -> list[tuple[str, str]] | None:
    text = os.environ.get(ROWS)
    if text is None:
        return None
    return [(one, two) for one, _, two in (row.partition(":") for row in text.split(","))]


def frameworks() -> list[str]:
    """The frameworks that are tried here."""
    named = _named()
    if named is None:
        return [name for name in FRAMEWORKS if installed(name)]
    return list(dict.fromkeys(one for one, _ in named))


def of_frameworks() -> list[tuple[str, str]]:
    """Each framework on the usual server."""
    return [row for row in _named() or _all() if row[1] == USUAL]


def of_servers() -> list[tuple[str, str]]:
    """The plain framework on each other server."""
    return [row for row in _named() or _all() if row[1] != USUAL]


def _all() -> list[tuple[str, str]]:
    others = [name for name, server in SERVERS.items() if name != USUAL and server.installed]
    plain = [PLAIN] if installed(PLAIN) else []
    return [(name, USUAL) for name in frameworks()] + [
        (name, other) for name in plain for other in others
    ]
