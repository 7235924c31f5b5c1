"""The package's logger: every message is one line, and shows what strangers say as plain text."""

import logging
import re
import traceback

logger: logging.Logger = logging.getLogger("asgi_multitier")

MAX_LINE = 4_000
"""Characters of one message, and of one exception's text, that are written."""

_MAX_CHAIN = 8
"""Exceptions of a chain that are written."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class _Plain(logging.Filter):
    """Escapes what is not printable in every line of this package's logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        plain = one_line(message)
        if plain != message:
            record.msg, record.args = plain, ()
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = _traceback(record.exc_info[1])
        return True


def one_line(text: str) -> str:
    """The text in one line, without control characters, and not too long."""
    if len(text) > MAX_LINE:
        text = f"{text[:MAX_LINE]}..."
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _traceback(error: BaseException) -> str:
    """The exception with its chain, first cause first, as Python shows it."""
    parts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(parts) < _MAX_CHAIN:
        frames = "".join(traceback.format_tb(seen.__traceback__))
        parts.append(f"{frames}{type(seen).__qualname__}: {one_line(str(seen))}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n\nThen:\n\n".join(reversed(parts))


logger.addFilter(_Plain())
