"""What is said at start, where it is seen.

Without a configuration Python shows only warnings of a library, so that who starts a server for
the first time would not see a line at INFO. Servers configure loggers of their own that show
theirs: where nothing is configured for the package's logger, its line is written there.
"""

import logging

from .log_lines import logger, one_line

_SERVERS = ("uvicorn.error", "gunicorn.error", "hypercorn.error", "_granian")


def shown_by() -> logging.Logger | None:
    """The logger that shows a line at INFO to somebody; None if none does."""
    if logger.hasHandlers() or logger.level != logging.NOTSET:
        return logger if logger.isEnabledFor(logging.INFO) else None
    for name in _SERVERS:
        server = logging.getLogger(name)
        if server.hasHandlers() and server.isEnabledFor(logging.INFO):
            return server
    return None


def say(where: logging.Logger, text: str) -> None:
    """Say a line at INFO."""
    if where is logger:
        logger.info("%s", text)
    else:
        where.info("asgi-multitier: %s", one_line(text))
