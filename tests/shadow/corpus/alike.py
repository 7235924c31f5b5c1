"""Traffic without what a careless application goes by: the proof that it goes by that."""

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

from tests.shadow.corpus.expected import Expected, is_asked
from tests.shadow.corpus.visitors import Lines

_CHANGES = ("edit", "late-commit", "tag")


class Alike:
    """Makes requests alike in what is expected to make the difference, and leaves out changes.

    Args:
        causes: Of what nothing is to be left.
    """

    def __init__(self, causes: Sequence[Expected] = ()) -> None:
        named = [(one.cause, one.name or "") for one in causes]
        # A user is told by a field.
        named += [pair for one in causes if one.cause == "user" for pair in one.alternatives]
        self._changes = [name for cause, name in named if cause in _CHANGES]
        self._fields = [name for cause, name in named if cause == "field"]
        self._cookies = {name for cause, name in named if cause == "cookie"}
        self._parameters = {name for cause, name in named if cause == "query"}
        self.has_one_address = any(cause == "address" for cause, _ in named)
        self.is_still = any(cause == "lifetime" for cause, _ in named)

    def leaves_out(self, method: str, target: str) -> bool:
        """Whether a request is not sent."""
        path = target.partition("?")[0]
        return any(is_asked(label, method, path) for label in self._changes)

    def target(self, target: str) -> str:
        """Path and query without the parameters."""
        path, mark, query = target.partition("?")
        if not self._parameters or not mark:
            return target
        return f"{path}?{urlencode([p for p in parse_qsl(query) if p[0] not in self._parameters])}"

    def lines(self, lines: Lines) -> Lines:
        """Field lines in which a field is the same in all requests, and a cookie in none."""
        for name in self._fields:
            lines = [*(line for line in lines if line[0] != name), (name, _ALWAYS.get(name, "1"))]
        return [self._line(*line) for line in lines] if self._cookies else lines

    def _line(self, name: str, value: str) -> tuple[str, str]:
        if name != "cookie":
            return name, value
        pairs = value.split("; ")
        return name, "; ".join(p for p in pairs if p.partition("=")[0] not in self._cookies)


_ALWAYS = {
    "accept": "text/csv",
    "authorization": "Bearer tok-ann",
    "x-forwarded-for": "81.2.3.4",
    "x-range": "items=0-9",
    "x-tenant-id": "acme",
}
"""Values where not any will do."""
