"""The admin application, over HTTP. Redirects are not followed: the token goes to one place."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ..exits import CommandError, Exit
from .door import Answer, checked

TIMEOUT = 15.0
"""Seconds without a byte of an answer."""

_EVENTS_TIMEOUT = 40.0
"""The same for events, which have a sign of life every 15 s."""

_MOST = 64 * 1024 * 1024
_LINE = 64 * 1024
_LOCAL = ("localhost", "127.0.0.1", "::1")


class HttpDoor:
    """An admin application.

    Args:
        url: Where it is mounted.
        token: Its token; None for none.

    Raises:
        CommandError: If the URL is not one.
    """

    def __init__(self, url: str, token: str | None) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
            raise CommandError(
                Exit.USAGE,
                "--url is not allowed; expected http://host:port/_cache or https://...",
                "a token goes into ASGI_MULTITIER_ADMIN_TOKEN or --token-file, never into the URL",
            )
        self.name: str = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self.is_plain: bool = parts.scheme == "http" and host not in _LOCAL
        self._secure = parts.scheme == "https"
        self._host, self._port = host, port
        self._base = parts.path.rstrip("/")
        self._fields = {"Accept": "application/json", "User-Agent": "asgi-multitier"}
        if token is not None:
            self._fields["Authorization"] = f"Bearer {token}"

    def _connection(self, timeout: float) -> HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return HTTPSConnection(self._host, self._port, timeout=timeout, context=context)
        return HTTPConnection(self._host, self._port, timeout=timeout)

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Ask one thing. See `Door.ask`."""
        return await asyncio.to_thread(self._asked, method, path, query or {}, body)

    def _asked(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> Answer:
        connection = self._connection(TIMEOUT)
        try:
            response = self._sent(connection, method, path, query, body)
            content = response.read(_MOST)
        except (OSError, HTTPException, ValueError) as error:  # the last of a name that is none
            raise self._unreachable(error) from error
        finally:
            connection.close()
        return self._answer(response, content)

    def _sent(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
    ) -> HTTPResponse:
        target = f"{self._base}/{quote(path, safe='/:')}"
        if query:
            target = f"{target}?{urlencode(query)}"
        fields, content = dict(self._fields), None
        if method == "POST":
            content = json.dumps(dict(body or {})).encode()
            fields["Content-Type"] = "application/json"
        connection.request(method, target, content, fields)
        return connection.getresponse()

    def _answer(self, response: HTTPResponse, content: bytes) -> Answer:
        if 300 <= response.status < 400:
            detail = "redirects elsewhere, which is not followed; give the URL that it leads to"
            raise CommandError(Exit.UNREACHABLE, f"{self.name}: {detail}")
        kind = (response.getheader("Content-Type") or "").partition(";")[0].strip()
        if not kind.endswith("json"):
            if response.status >= 400:
                return Answer(response.status, None)
            raise self._foreign()
        try:
            return Answer(response.status, _read(content))
        except (ValueError, RecursionError):
            raise self._foreign() from None

    def _foreign(self) -> CommandError:
        return CommandError(
            Exit.UNREACHABLE,
            f"{self.name}: what answers is no admin application of asgi-multitier",
            "give the path that cache.admin(...) is mounted at, such as http://host:8000/_cache",
        )

    def _unreachable(self, error: Exception) -> CommandError:
        reason = str(error) or type(error).__name__
        remedy = "check that the application runs, and the address in --url"
        return CommandError(Exit.UNREACHABLE, f"{self.name}: {reason}", remedy)

    async def events(self, kinds: str) -> AsyncGenerator[dict[str, Any], None]:
        """What happens. See `Door.events`."""
        connection = self._connection(_EVENTS_TIMEOUT)
        open_socket: socket.socket | None = None
        response: HTTPResponse | None = None
        try:
            await asyncio.to_thread(connection.connect)
            open_socket = connection.sock
            query = {"kind": kinds} if kinds else {}
            response = await asyncio.to_thread(
                self._sent, connection, "GET", "api/events", query, None
            )
            if response.status != 200:
                content = await asyncio.to_thread(response.read, _MOST)
                checked(self, self._answer(response, content))
                raise self._foreign()
            while line := await asyncio.to_thread(response.readline, _LINE):
                name, _, text = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
                if name == "data":
                    yield _read(text)
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            raise self._unreachable(error) from error
        finally:
            # A thread that reads would hold up the end of the program.
            if open_socket is not None:
                with suppress(OSError):
                    open_socket.shutdown(socket.SHUT_RDWR)
            if response is not None:
                response.close()  # of HTTP/1.0 it is not the connection's any more
            connection.close()

    async def close(self) -> None:
        """Nothing is kept open."""


def _read(text: str | bytes) -> Any:
    """JSON, without the numbers that only Python takes for such.

    Raises:
        ValueError, RecursionError: If it is none, or too deep.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number")

    return json.loads(text, parse_constant=refuse)
