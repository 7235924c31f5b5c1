"""What shadow mode and audits have found: `GET /api/report`, and `POST` to begin again."""

import asyncio
from collections.abc import Mapping
from typing import Any

from ..shadow.joined import CacheReport, Scope
from .cache import Administered
from .others import on_host
from .reading import Ask, truth
from .replies import Refusal, Reply, json_reply, wrong

NAMES = frozenset(("clear", "scope"))
"""The members of the object that begins again."""

NOT_OBSERVED = (
    "nothing was observed: neither shadow nor audit is on, and no request has come to a rule with "
    "shadow=True; set mode='shadow', shadow=True in a rule, or audit='1/1000'"
)


class Reports:
    """Answers about what was found.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Administered) -> None:
        self._cache = cache

    async def found(self, ask: Ask) -> Reply:
        """`GET /api/report`.

        Raises:
            Refusal: 409 where nothing is observed, and nothing was.
        """
        report = await self._cache.report(scope=_scope(ask.query))
        if not (report.observes or report.routes):
            raise Refusal(409, NOT_OBSERVED)
        return await _told(report)

    async def cleared(self, ask: Ask) -> Reply:
        """`POST /api/report` with `clear`: what was found until now, which is forgotten."""
        if not truth(ask.body, "clear", default=False):
            raise wrong("clear", "the only thing to do here is to begin again", "true")
        report = await self._cache.report(scope=_scope(ask.body), clear=True)
        self._cache.engine.events.acted("report clear", ask.right, ask.client)
        return await _told(report)


def _scope(given: Mapping[str, Any]) -> Scope:
    return "host" if on_host(given) else "process"


async def _told(report: CacheReport) -> Reply:
    """The report as JSON, which takes a while where there are many routes."""
    return await asyncio.to_thread(lambda: json_reply(report.as_json()))
