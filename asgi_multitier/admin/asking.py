"""What other parts of a cache tell: statistics, hot keys, all instances, and explanations."""

import asyncio
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from .cache import Administered
from .reading import Ask, truth
from .replies import Reply, json_reply, wrong

_SCOPES = ("process", "host")

EXPLAINED = frozenset(("method", "url", "headers", "body", "run_callables", "shared", "reveal"))
"""The members of the object that describes a request."""

_MOST_HOT = 256


class Asking:
    """Answers that other parts of a cache make.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Administered) -> None:
        self._cache = cache

    async def stats(self, ask: Ask) -> Reply:
        """`GET /api/stats`."""
        route, metrics = ask.query.get("route"), self._cache.metrics
        if ask.choice("scope", _SCOPES, "process") == "host":
            return json_reply(await metrics.host_json(route))
        return json_reply(metrics.json(route))

    async def hot(self, ask: Ask) -> Reply:
        """`GET /api/hot`."""
        limit, reveal = ask.number("limit", 1, _MOST_HOT, 20), ask.reveals()
        metrics = self._cache.metrics
        if ask.choice("scope", _SCOPES, "process") == "host":
            return json_reply(await metrics.host_hot(limit, reveal=reveal))
        return json_reply(metrics.hot(limit, reveal=reveal))

    async def fleet(self, ask: Ask) -> Reply:  # noqa: ARG002  # every handler gets it
        """`GET /api/fleet`."""
        return json_reply((await self._cache.instances()).as_json())

    async def routes(self, ask: Ask) -> Reply:  # noqa: ARG002  # every handler gets it
        """`GET /api/routes`."""
        report = await self._cache.read_routes()
        return await asyncio.to_thread(lambda: json_reply(report.as_json()))

    async def explain(self, ask: Ask) -> Reply:
        """`POST /api/explain`."""
        given = ask.body
        method, url = _text(given, "method", "GET"), _text(given, "url", "")
        content = given.get("body")
        if content is not None and not isinstance(content, str):
            raise wrong("body", "body is no text", "a text, or null")
        try:
            explanation = await self._cache.explain(
                method,
                url or "/",
                _lines(given),
                body=None if content is None else content.encode("utf-8", "surrogatepass"),
                run_callables=truth(given, "run_callables", default=False),
                shared=truth(given, "shared", default=True),
                reveal=truth(given, "reveal", default=not ask.redact),
            )
        except ConfigError as error:
            raise wrong("", str(error)) from None
        return json_reply(explanation.as_json())


def _text(given: Mapping[str, Any], name: str, default: str) -> str:
    found = given.get(name, default)
    if not isinstance(found, str):
        raise wrong(name, f"{name} is no text", "a text")
    return found


def _lines(given: Mapping[str, Any]) -> list[tuple[str | bytes, str | bytes]]:
    """The field lines: of an object, or of a list of pairs."""
    found = given.get("headers") or []
    pairs = list(found.items()) if isinstance(found, dict) else found
    allowed = "an object of texts, or a list of [name, value]"
    if not isinstance(pairs, list):
        raise wrong("headers", "headers is no list of field lines", allowed)
    for pair in pairs:
        if not (isinstance(pair, list | tuple) and len(pair) == 2):
            raise wrong("headers", "headers holds something else than field lines", allowed)
        if not all(isinstance(text, str) for text in pair):
            raise wrong("headers", "headers holds something else than texts", allowed)
    return [(name, value) for name, value in pairs]
