"""The admin application asked in its own process: for the sockets of workers, and for a program.

Who may ask is decided before: a worker's socket is open to its own user alone. The same application
is called, so that every way to ask has the same answers.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextvars import Context
from secrets import token_hex
from typing import Any, Protocol
from urllib.parse import urlencode

import orjson

from .._loading import loaded
from .._types import ASGIApp, Message, Receive, Scope
from ..workers import Workers
from .others import EACH, QUESTION

_WAITING = 256
"""Pieces of a stream that wait to be read."""


class Admitting(Protocol):
    """A cache, as far as it is asked here."""

    workers: Workers

    def admin(self, token: str | None = None) -> ASGIApp:
        """Its admin application."""


class Inside:
    """The admin application of a cache, for this process.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Admitting) -> None:
        self._cache = cache
        self._token = token_hex(32)
        self._app: ASGIApp | None = None

    def answer_workers(self) -> None:
        """Let other processes of this user, on this machine, ask it."""
        self._cache.workers.answers(QUESTION, self._asked)

    async def _asked(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        if asked.get("worker") not in (EACH, self._cache.workers.number):
            return None
        await loaded("asgi_multitier.admin.application")
        query, body = asked.get("query"), asked.get("body")
        status, value = await self.ask(
            "POST" if asked.get("method") == "POST" else "GET",
            str(asked.get("path")),
            {str(k): str(v) for k, v in query.items()} if isinstance(query, dict) else None,
            body if isinstance(body, dict) else None,
        )
        return {"status": status, "value": value}

    def _application(self) -> ASGIApp:
        if self._app is None:
            self._app = self._cache.admin(token=self._token)
        return self._app

    def _scope(self, method: str, path: str, query: Mapping[str, str]) -> Scope:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": f"/{path}",
            "raw_path": f"/{path}".encode(),
            "root_path": "",
            "query_string": urlencode(query).encode(),
            "headers": [
                (b"host", b"localhost"),
                (b"authorization", b"Bearer " + self._token.encode()),
                (b"content-type", b"application/json"),
            ],
            "client": ("localhost", 0),
            "server": ("localhost", 80),
        }

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> tuple[int, Any]:
        """Ask one thing.

        Args:
            method: `"GET"` or `"POST"`.
            path: Below the application, such as `"api/log"`; that of a stream is not answered.
            query: Parameters.
            body: The object to send.

        Returns:
            The status, and the JSON; None for what is no JSON.
        """
        if path.startswith("api/events"):
            return 404, None
        status, kind, parts = 500, b"", []

        async def send(message: Message) -> None:
            nonlocal status, kind
            if message["type"] == "http.response.start":
                status = message["status"]
                kind = dict(message["headers"]).get(b"content-type", b"")
            else:
                parts.append(message.get("body", b""))

        content = orjson.dumps(dict(body or {})) if method == "POST" else b""
        receive = _receiving(content, asyncio.Event())
        await self._application()(self._scope(method, path, query or {}), receive, send)
        is_json = kind.partition(b";")[0].endswith(b"json")
        return status, orjson.loads(b"".join(parts)) if is_json else None

    async def events(self, kinds: str) -> AsyncGenerator[dict[str, Any], None]:
        """What happens, as `api/events` tells it, until the iteration is closed.

        Args:
            kinds: Words separated by commas; "" for all.
        """
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        gone = asyncio.Event()

        async def send(message: Message) -> None:
            if message.get("body"):
                await pieces.put(message["body"])

        async def run() -> None:
            scope = self._scope("GET", "api/events", {"kind": kinds} if kinds else {})
            try:
                await self._application()(scope, _receiving(b"", gone), send)
            finally:
                await pieces.put(None)

        task = asyncio.create_task(run(), name="asgi-multitier events", context=Context())
        rest = b""
        try:
            while (piece := await pieces.get()) is not None:
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line.startswith(b"data:"):
                        yield orjson.loads(line[5:])
        finally:
            gone.set()
            task.cancel()
            await asyncio.wait({task})


def _receiving(content: bytes, gone: asyncio.Event) -> Receive:
    """A channel with one content, after which the client leaves when it is told to."""
    left = [content]

    async def receive() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    return receive
