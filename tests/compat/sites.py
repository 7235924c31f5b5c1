"""Served shops for the tests of the table, one at a time, and the cases of that table."""

from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path

from tests.compat.catalogue import lacking
from tests.compat.expectations import TABLE
from tests.compat.serving import SERVERS, Site, serving

Case = tuple[str, str, str]


def cases(rows: list[tuple[str, str]]) -> list[Case]:
    """Framework, server and each expectation that the two are to meet."""
    return [
        (framework, server, name)
        for framework, server in rows
        for name in TABLE
        if name not in lacking(framework) | SERVERS[server].lacks
    ]


def named(case: Case) -> str:
    """A case as it stands in a test's name."""
    return "-".join(case).replace(" ", "_")


class Sites:
    """One served shop at a time: the next one is started when it is asked for."""

    def __init__(self, place: Path, redis_url: str) -> None:
        self._place = place
        self._redis_url = redis_url
        self._stack = ExitStack()
        self._name = ""
        self._site: Site | None = None
        self.notes = place

    def site(self, framework: str, server: str) -> Site:
        """The shop, whose processes are kept until another one is asked for."""
        name = f"{framework}-{server}"
        if self._site is None or name != self._name:
            self.close()
            self.notes = self._place / name
            self.notes.mkdir()
            space = "c-" + blake2b(name.encode(), digest_size=8).hexdigest()
            made = serving(SERVERS[server], framework, self.notes, self._redis_url, space)
            self._name, self._site = name, self._stack.enter_context(made)
            self._site.ready()
        return self._site

    def close(self) -> None:
        """End the one that runs."""
        self._stack.close()
        self._site = None
