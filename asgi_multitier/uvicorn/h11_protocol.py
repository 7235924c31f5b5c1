"""uvicorn's protocol over h11, with the cache in front."""

from typing import Any
from urllib.parse import unquote

import h11
from uvicorn.protocols.http import h11_impl

from ..policy.framing import keeps_connection
from .connection import Answering

_NO_CONTENT = 204


class H11Protocol(Answering, h11_impl.H11Protocol):
    """For `uvicorn app:app --http asgi_multitier.uvicorn:H11Protocol`.

    A request whose bytes are known is answered without parsing it. Others are answered between
    h11 and uvicorn's protocol, which never hears of them.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = _Connection(self, self.config.h11_max_incomplete_event_size)

    def data_received(self, data: Any) -> None:
        """Some bytes of the client's; of some transports, a `bytearray`."""
        whole = isinstance(data, bytes) and self._is_between()
        if whole and self._may_answer() and self._recognise(data):
            self.conn.their_http_version = b"1.1"  # h11 ends a later refusal by that
            return
        self._begin_read()
        super().data_received(data)
        self._end_read(data, whole=whole and self._is_between())

    def _is_between(self) -> bool:
        """Whether the parser waits for the first byte of a request."""
        return self.conn.their_state is h11.IDLE and self.conn.trailing_data == (b"", False)

    def takes(self, request: h11.Request) -> bool:
        """Answer a request from the cache; whether that was done."""
        self._begun += 1
        self._learnt = None
        headers = [(name.lower(), value) for name, value in request.headers]
        if (
            request.method not in (b"GET", b"HEAD")
            or request.http_version != b"1.1"
            or not keeps_connection(headers)
            or not self._may_answer()
        ):
            return False
        raw_path, _, query = request.target.partition(b"?")
        path = unquote(raw_path.decode("ascii"))
        asked = self._ask(request.method, raw_path, query, path, headers)
        if asked is None:
            return False
        self._learnt, answer = asked
        self.transport.write(answer)
        return True


class _Connection(h11.Connection):
    """h11's view of a connection, less the requests that the cache answers."""

    def __init__(self, protocol: H11Protocol, size: int | None) -> None:
        if size is None:
            super().__init__(h11.SERVER)
        else:
            super().__init__(h11.SERVER, size)
        self._protocol = protocol

    def next_event(self) -> Any:
        """What h11 has read, for uvicorn's protocol."""
        event = super().next_event()
        while isinstance(event, h11.Request) and self._protocol.takes(event):
            super().next_event()  # its end: it has no content
            # The shortest answer takes h11 to the next request; these bytes go nowhere.
            self.send(h11.Response(status_code=_NO_CONTENT, headers=[]))
            self.send(h11.EndOfMessage())
            self.start_next_cycle()
            event = super().next_event()
        return event
