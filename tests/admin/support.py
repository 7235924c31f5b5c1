"""Operators and viewers, as they ask."""

import json
from typing import Any

from asgi_multitier import CacheManager
from asgi_multitier._types import ASGIApp
from tests.support import Client, Reply, Visit

OPERATOR = "operator-" + "o" * 32
VIEWER = "viewer-" + "v" * 32

JSON = ("content-type", "application/json")


def bearer(token: str) -> tuple[str, str]:
    """The field line of a token."""
    return ("authorization", f"Bearer {token}")


def made(**settings: Any) -> CacheManager:
    """A cache in memory."""
    return CacheManager(**{"redis_url": None, "namespace": "shop", **settings})


class Person:
    """Someone with a token.

    Args:
        app: The application.
        token: The token.
        prefix: Where it is mounted.
    """

    def __init__(self, app: ASGIApp, token: str = OPERATOR, prefix: str = "") -> None:
        self._client = Client(app)
        self._token = token
        self._prefix = prefix

    async def reply(
        self, method: str, path: str, *headers: tuple[str, str], body: Any = None, **changes: Any
    ) -> Reply:
        """One request, with the token."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [bearer(self._token), *headers]
        if body is not None and not any(name == "content-type" for name, _ in headers):
            lines.append(JSON)
        visit = Visit(body=b"" if body is None else content)
        return await self._client.request(
            method, self._prefix + path, lines, visit=visit, **changes
        )

    async def get(self, path: str, status: int = 200) -> Any:
        """What a GET gives, as JSON."""
        return read(await self.reply("GET", path), status)

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        """What a POST gives, as JSON."""
        return read(await self.reply("POST", path, body=body), status)


def read(reply: Reply, status: int) -> Any:
    """The JSON of an answer that has this status and is a problem if it is an error."""
    assert reply.status == status, reply.body
    return json.loads(reply.body)
