"""What both protocols do for a request that the cache answers."""

import asyncio
from typing import Any

from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from .front import front_of
from .remembered import Known


class Answering(asyncio.Protocol):
    """Answers plain hits on a connection; stands before a protocol of uvicorn's.

    uvicorn's own state of the connection stays as between two requests: for it, a request that is
    answered here was never sent.
    """

    config: Any
    server_state: Any
    loop: Any
    transport: Any
    flow: Any
    cycle: Any
    scheme: Any
    client: tuple[str, int] | None
    root_path: str
    limit_concurrency: int | None
    access_log: bool
    access_logger: Any
    timeout_keep_alive: int
    timeout_keep_alive_task: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._front = front_of(self.config)
        self._origin: object = None
        self._answered_at: float | None = None
        self._begun = 0
        self._learnt: Known | None = None
        self._held: Any = None

    @staticmethod
    def begin_in_front(config: Any) -> None:
        """The application starts: say now what is to be said of its layers."""
        front_of(config).look(())

    def connection_made(self, transport: Any) -> None:
        """A client has connected."""
        super().connection_made(transport)
        self._origin = self._front.origin_of(self.scheme, self.client)

    def _may_answer(self) -> bool:
        """Whether a request that begins now could be answered at once, whatever it asks for."""
        front, state = self._front, self.server_state
        if front.defaults is not state.default_headers:
            front.look(state.default_headers)
        limit = self.limit_concurrency
        return (
            front.cache is not None
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and (limit is None or (len(state.connections) < limit and len(state.tasks) < limit))
        )

    def _recognise(self, data: bytes) -> bool:
        """Answer a request whose bytes are known; whether that was done."""
        requests = self._front.requests
        known = requests.young.get(data)
        if known is None:
            known = requests.recall(data)
        if known is None or known.origin is not self._origin:
            return False
        head = known.head
        answer = self._answer(known)
        if answer is None:
            return False
        if known.head is not head:
            requests.resize(data, known)
        if self.timeout_keep_alive_task is None:
            self._wait(self.timeout_keep_alive)
        self.transport.write(answer)
        return True

    def _begin_read(self) -> None:
        """Bytes come that are to be parsed.

        uvicorn's protocol would end the timer now, and a new one takes longer than an answer.
        """
        self._begun, self._learnt = 0, None
        self._held, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None

    def _end_read(self, data: bytes, *, whole: bool) -> None:
        """The bytes are parsed, and what was answered is sent.

        `_begun` counts the requests in them, and `_learnt` is the last that was answered here.

        Args:
            data: The bytes.
            whole: Whether they began with a request, and hold no part of one that is not counted.
        """
        timer, self._held = self._held, None
        is_idle = self.cycle is None or self.cycle.response_complete
        if self._learnt is not None and is_idle and self.timeout_keep_alive_task is None:
            if timer is None:
                self._wait(self.timeout_keep_alive)
            else:
                self.timeout_keep_alive_task = timer
        elif timer is not None:
            timer.cancel()
        if whole and self._begun == 1 and self._learnt is not None:
            self._front.requests.remember(data, self._learnt)

    def _ask(
        self, method: bytes, raw_path: bytes, query: bytes, path: str, headers: Any
    ) -> tuple[Known, bytes] | None:
        """The answer to a request of HTTP/1.1 that was parsed; None if it goes by ASGI."""
        self._origin = self._front.origin_of(self.scheme, self.client)
        root = self.root_path
        scope = {
            "type": "http",
            "http_version": "1.1",
            "client": self.client,
            "scheme": self.scheme,
            "method": method.decode("ascii"),
            "root_path": root,
            "path": root + path,
            "raw_path": root.encode("ascii") + raw_path,
            "query_string": query,
            "headers": headers,
        }
        known = self._front.ask(scope, self._origin)
        if known is None or (answer := self._answer(known)) is None:
            return None
        return known, answer

    def _answer(self, known: Known) -> bytes | None:
        """The whole answer; it counts as a request of the server's."""
        prepared = self._front.answer(known)
        if prepared is None or known.head is None:
            return None
        if self.access_log:
            scope: Any = {
                "client": known.client or self.client,
                "path": known.path,
                "query_string": known.query,
            }
            self.access_logger.info(
                '%s - "%s %s HTTP/%s" %d',
                get_client_addr(scope),
                known.method,
                get_path_with_query_string(scope),
                "1.1",
                prepared.status,
            )
        self.server_state.total_requests += 1
        self._answered_at = self.loop.time()
        return known.head if known.method == "HEAD" else known.head + prepared.body

    def _wait(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def timeout_keep_alive_handler(self) -> None:
        """Nothing has come since the timer was set, or only what was answered here.

        One timer stands for many requests: it is set again for what is left.
        """
        if self._answered_at is not None:
            left = self._answered_at + self.timeout_keep_alive - self.loop.time()
            if left > 0:
                self._wait(left)
                return
        super().timeout_keep_alive_handler()  # type: ignore[misc]  # of the protocol behind
