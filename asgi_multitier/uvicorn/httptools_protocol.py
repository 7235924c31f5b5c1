"""uvicorn's protocol over httptools, with the cache in front."""

from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from .connection import Answering
from .remembered import Known


class HttpToolsProtocol(Answering, httptools_impl.HttpToolsProtocol):
    """For `uvicorn app:app --http asgi_multitier.uvicorn:HttpToolsProtocol`.

    A request whose bytes are known is answered without parsing it. What the parser has to see is
    asked when its fields are there, and answered when all of the read is parsed: uvicorn sends
    nothing before that either. What waits is bounded: a read may hold thousands of requests for a
    large response.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._between = True  # two requests: the parser waits for the first byte of one
        self._upgraded = False
        self._asked: tuple[Known, bytes] | None = None
        self._ready: list[bytes] = []
        self._ready_bytes = 0

    def data_received(self, data: Any) -> None:
        """Some bytes of the client's; of some transports, a `bytearray`."""
        whole = self._between and isinstance(data, bytes) and not self._upgraded
        if whole and self._may_answer() and self._recognise(data):
            return
        self._begin_read()
        super().data_received(data)
        self._flush()
        self._end_read(data, whole=whole)

    def _flush(self) -> None:
        """Send what was answered, unless the connection was ended over what came after it."""
        if self._ready:
            if not self.transport.is_closing():
                self.transport.write(b"".join(self._ready))
            self._ready, self._ready_bytes = [], 0

    def handle_websocket_upgrade(self) -> None:
        """The connection goes to another protocol, and no timer may end it."""
        self._flush()
        self._learnt = None
        super().handle_websocket_upgrade()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._between = False
        self._begun += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """All fields of a request are here."""
        self._asked = self._ask_parsed()
        if self._asked is None:
            if self._ready and self.loop.get_task_factory() is not None:
                self._flush()  # an eager task answers at once, and the order is that of requests
            super().on_headers_complete()

    def _ask_parsed(self) -> tuple[Known, bytes] | None:
        parser = self.parser
        method = parser.get_method()
        self._upgraded = self._upgraded or parser.should_upgrade()
        if (
            self._upgraded
            or method not in (b"GET", b"HEAD")
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or self._ready_bytes > HIGH_WATER_LIMIT
            or not self._may_answer()
        ):
            return None
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        return self._ask(method, url.path, url.query or b"", path, self.headers)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self._between = True
        if self._asked is None:
            super().on_message_complete()
            return
        self._learnt, answer = self._asked
        self._ready.append(answer)
        self._ready_bytes += len(answer)
        self._asked = None
