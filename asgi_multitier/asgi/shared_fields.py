"""Equal fields of requests as one object: a proxy sends the same to all targets."""

from typing import Any

_MOST = 512
"""Requests whose fields are shared."""

_LONGEST = 512
"""Bytes of the fields of one request that are kept: cookies that do not count are among them."""

_LIKE_NO_OTHER = (b"",)
"""Kept instead of longer ones; no line and no lines are equal to it."""


class SharedFields:
    """The fields that plans have at hand."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[object, object] = {}

    def of(self, taken: Any) -> object:
        """Lines of a request, as `Way.take` gives them: a line, a tuple of lines, or None."""
        if taken is None:
            return None
        lines = [tuple(line) for line in (taken if type(taken[0]) is not bytes else (taken,))]
        if sum(len(name) + len(value) for name, value in lines) > _LONGEST:
            return _LIKE_NO_OTHER
        if len(self._known) >= _MOST:
            self._known.clear()
        kept = lines[0] if type(taken[0]) is bytes else tuple(lines)
        return self._known.setdefault(kept, kept)
