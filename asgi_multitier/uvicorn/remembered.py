"""Requests remembered by their bytes, within a bound of bytes."""

from collections.abc import Sequence

from .._types import Header, Scope
from ..asgi.in_front import Found

_RECORD = 600
"""Bytes of a record and its place in the map, beyond its texts."""

_FIELD = 200
"""Bytes of a field line that is held, beyond its text."""

_LONGEST = 4096
"""Bytes of the longest request that is remembered."""

_MOST_SEEN = 4096
"""Requests seen once that are told from new ones, at most; each takes some 60 bytes."""


class Known:
    """A request that was parsed before.

    Attributes:
        found: What the cache has found of it.
        origin: Of what connections it was parsed.
        client: Address and port of the client that a trusted proxy names; None where none does.
        method, path, query: What the access log says of it.
        lines: The field lines that `head` was built from.
        defaults: The server's own lines in `head`.
        head: The head of its answer.
        size: Bytes that it is accounted for.
    """

    __slots__ = (
        "client",
        "defaults",
        "found",
        "head",
        "lines",
        "method",
        "origin",
        "path",
        "query",
        "size",
    )

    def __init__(
        self,
        found: Found,
        origin: object,
        client: tuple[str, int] | None,
        scope: Scope,
    ) -> None:
        self.found: Found = found
        self.origin = origin
        self.client = client
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.lines: Sequence[Header] | None = None
        self.defaults: Sequence[Header] | None = None
        self.head: bytes | None = None
        self.size: int = 0


class Requests:
    """A bounded map from a request's bytes to what is known of it; full, it forgets its older half.

    A request is remembered when it comes for the second time: most of what comes once, as with an
    identifier of its own, never comes again.

    Args:
        max_bytes: Bytes of requests and heads together, an estimate on the high side.
    """

    __slots__ = ("_bytes", "_max_bytes", "_old", "_seen", "young")

    def __init__(self, max_bytes: int) -> None:
        self.young: dict[bytes, Known] = {}
        self._old: dict[bytes, Known] = {}
        self._seen: set[int] = set()
        self._bytes = 0
        self._max_bytes = max_bytes // 2

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    @property
    def size(self) -> int:
        """Bytes accounted for."""
        return sum(known.size for half in (self.young, self._old) for known in half.values())

    def recall(self, data: bytes) -> Known | None:
        """What is known of a request; then it is young again."""
        known = self.young.get(data)
        if known is None and (known := self._old.pop(data, None)) is not None:
            self._put(data, known)
        return known

    def remember(self, data: bytes, known: Known) -> None:
        """Remember a request, if it is not too long and was seen before."""
        if len(data) > _LONGEST:
            return
        mark = hash(data)
        if mark not in self._seen:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen.add(mark)
            return
        self._put(data, known)

    def resize(self, data: bytes, known: Known) -> None:
        """The head of a request in the young half is another: account for it."""
        size = self._size_of(data, known)
        self._bytes += size - known.size
        known.size = size
        if self._bytes > self._max_bytes:
            self._turn()

    def clear(self) -> None:
        """Forget everything."""
        self.young.clear()
        self._old.clear()
        self._seen.clear()
        self._bytes = 0

    def _put(self, data: bytes, known: Known) -> None:
        known.size = self._size_of(data, known)
        if (replaced := self.young.pop(data, None)) is not None:
            self._bytes -= replaced.size
        if self._bytes + known.size > self._max_bytes:
            self._turn()
        if known.size <= self._max_bytes:
            self._bytes += known.size
            self.young[data] = known

    def _turn(self) -> None:
        self._old, self.young, self._bytes = self.young, {}, 0

    @staticmethod
    def _size_of(data: bytes, known: Known) -> int:
        head = 0 if known.head is None else len(known.head)
        # Its target is held as well; its fields only where they count.
        return _RECORD + 3 * len(data) + _FIELD * len(known.found.scope["headers"]) + head
