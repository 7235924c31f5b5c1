"""What a process says when its cache begins: one line; in debug mode also a table of its routes."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..events.log_lines import logger
from ..events.start_lines import say, shown_by
from ..routing import RouteTable
from ..workers.first import is_first

if TYPE_CHECKING:
    from .manager import CacheManager

_DEBUG = (
    "%s: debug mode is on: every client may make the cache ask the application, and Cache-Debug "
    "tells clients what is stored; never in production: unset ASGI_MULTITIER_DEBUG, or remove "
    "debug=True"
)


def greet(manager: "CacheManager", table: RouteTable, app: Any) -> None:
    """Say what was found, once: the first worker of a server says it for all.

    Args:
        manager: The cache; it has its name.
        table: The routes and their rules.
        app: The application, as its outermost layer that is known.
    """
    logs, debug = shown_by(), manager.config.debug
    if logs is None and not debug:
        return
    line = line_of(manager, table)
    if not is_first(manager.namespace, line):
        logger.debug("%s", line)
        return
    if logs is not None:
        say(logs, line)
    if debug:
        logger.warning(_DEBUG, manager.namespace)
        from ..explain.routes import report_of
        from ..explain.table import text_of
        from .routes import layers_around

        report = report_of(table, layers_around(app))
        if report.routes:
            sys.stderr.write(f"{text_of(report)}\n")
            sys.stderr.flush()


def line_of(manager: "CacheManager", table: RouteTable) -> str:
    """The line: name, tiers, and what becomes of the routes."""
    from ..explain.summary import summary_of  # not where nothing is shown

    stack = manager.engine.stack
    names = [_named(stack.local), *(_named(placed.tier) for placed in stack.shared)]
    found = summary_of(table)
    parts = [f"{manager.namespace}: {', then '.join(names)}", str(found)]
    if table.unreadable:
        parts[1] = f"the routes of {table.unreadable} are not known, so rules decide"
    elif not (found.cached or found.observed or any(table.given)):
        parts.append(
            "nothing is cached: write @cached on an endpoint that answers GET, or let "
            "`asgi-multitier init` propose where"
        )
    if manager.mode != "on":
        parts.append(f"mode={manager.mode}: no request is answered from the cache")
    return "; ".join(parts)


def _named(tier: Any) -> str:
    """A tier, with the server or file that it stands for."""
    place: Callable[[], str] | Any = getattr(getattr(tier, "link", None), "name", None)
    place = place or getattr(tier, "path", None)
    return f"{tier.name} ({place})" if place else str(tier.name)
