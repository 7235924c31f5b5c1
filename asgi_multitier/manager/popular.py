"""The list of what clients of all processes ask for, in the first shared tier."""

from collections.abc import Callable
from typing import Protocol

from ..engine.document import Document
from ..engine.engine import Engine
from ..engine.formats import Format
from ..tiers.metadata import Unreadable
from ..warming.popularity import LIFETIME, MAX_BYTES, Ranking, read

NO_TIER = "there is no shared tier to read what clients ask for"
NO_ANSWER = "the shared tier does not answer"
NO_LIST = "no process has told yet what clients ask for"


class Listing(Protocol):
    """What is asked of a manager here."""

    @property
    def engine(self) -> Engine:
        """Its parts."""

    @property
    def namespace(self) -> str:
        """Its namespace."""


def document_of(cache: Listing) -> Document | None:
    """Where the list is; None without a shared tier."""
    engine = cache.engine
    if not engine.stack.shared:
        return None
    form = Format(
        namespace=cache.namespace,
        secret=engine.config.secret,
        max_entry=MAX_BYTES,
        clock=engine.clock,
        wall=engine.wall,
    )
    return Document(
        engine.stack.shared[0],
        "popular",
        form,
        lifetime=LIFETIME,
        clock=engine.clock,
        unreadable=_count_in(engine),
    )


async def ranking_in(document: Document) -> Ranking | None:
    """The list; None if no process has written one.

    Raises:
        NoAnswer: If the tier does not answer.
    """
    data = await document.read()
    return None if data is None else read(data)


def _count_in(engine: Engine) -> Callable[[Unreadable], None]:
    def unreadable(reason: Unreadable) -> None:
        engine.stack.shared[0].unreadable[reason] += 1

    return unreadable
