"""The socket by which this worker answers the others, and the questions that it asks them.

Who reaches one worker reaches all: a scrape, the admin's pages and the command line meet a
random one of those that share a port. Each answers for itself; what does not answer in time is
marked as missing, and never an error.
"""

import asyncio
import os
import socket
from asyncio.events import _get_running_loop as loop_here
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from contextvars import Context
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from .frames import (
    ANSWER_BYTES,
    HEAD_BYTES,
    QUESTION_BYTES,
    FrameError,
    packed,
    receive,
    send,
)
from .sockets import Listener, has_sockets, is_own_user, paths

TIMEOUT = 0.2
"""Seconds that the answer of another worker may take."""

_CONNECTIONS = 32
"""Connections that are answered at the same time."""

_PAUSE = 1.0
"""Seconds for which no connection is accepted after that has failed."""

_PATIENCE = 10.0
"""Seconds after which a connection is closed, whatever it waits for."""

Answering: TypeAlias = Callable[[dict[str, Any]], Awaitable[Any]]
"""Answers a question: gets its arguments, and returns what JSON can express, or an `AsyncIterator`
of the pieces of a long text."""

Missing: TypeAlias = Literal["", "silent", "unknown", "failed"]
"""Why there is no answer: "" if there is one; not in time, no such question, or it failed there."""


class Answer(NamedTuple):
    """What one worker has answered.

    Attributes:
        worker: Its number; None for this process if it has none.
        value: The answer, as JSON has it; of a text in pieces, a list; None if there is none.
        missing: Why there is none.
    """

    worker: int | None
    value: Any
    missing: Missing = ""

    @property
    def has_come(self) -> bool:
        """Whether there is an answer."""
        return not self.missing


class Workers:
    """The workers of an application on this machine, as one of them sees them.

    It belongs to the event loop that has opened it; any other may ask.

    Args:
        namespace: Gives the application's name.
        trouble: Called with what fails here and why: no worker can be asked, or an answer failed.

    Attributes:
        is_wanted: Whether this process is to be asked, also if it serves no application.
    """

    def __init__(
        self, namespace: Callable[[], str], trouble: Callable[[str, Exception], None]
    ) -> None:
        self.is_wanted = False
        self._namespace = namespace
        self._trouble = trouble
        self._answers: dict[str, Answering] = {}
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Workers {'not reachable' if self.number is None else f'of which {self.number}'}>"

    # What this worker is asked.

    def answers(self, name: str, function: Answering) -> None:
        """Let others ask something.

        Args:
            name: The question's name.
            function: Gets the question's arguments, which may be of any shape, as another release
                may have asked. Runs in the event loop of the cache.
        """
        self._answers[name] = function

    @property
    def number(self) -> int | None:
        """This worker's number, from 0; None while others cannot ask it."""
        here = self._listener is not None and self._pid == os.getpid()
        return self._listener.number if here and self._listener is not None else None

    def open(self) -> None:
        """Be reachable, from the running event loop. What fails is a trouble, never an error."""
        if not has_sockets():
            return
        try:
            if self._listener is not None and self._pid != os.getpid():
                self._leave()
            if self._listener is not None and self._listener.is_removed:
                self._leave()
            if self._listener is None:
                self._listener, self._pid = Listener(self._namespace()), os.getpid()
            self._listen(self._listener)
        except (OSError, NotImplementedError) as error:  # the latter: loops that read no sockets
            self._leave()
            self._trouble("workers", error)

    def _listen(self, listener: Listener) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None and not self._loop.is_closed():
            number = listener.socket.fileno()
            self._loop.call_soon_threadsafe(self._loop.remove_reader, number, context=Context())
        Context().run(loop.add_reader, listener.socket.fileno(), self._accept)
        self._loop, self._tasks = loop, set()

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            connection, _ = self._listener.socket.accept()
        except BlockingIOError:  # it is gone
            return
        except OSError as error:  # too many open files: the socket stays readable
            self._trouble("workers", error)
            self._pause()
            return
        connection.setblocking(False)
        if len(self._tasks) >= _CONNECTIONS or not is_own_user(connection):
            connection.close()
            return
        task = asyncio.create_task(
            self._serve(connection), name="asgi-multitier worker answer", context=Context()
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its turn closes nothing.
        task.add_done_callback(lambda _: connection.close())

    def _pause(self) -> None:
        """Accept no connection for a second."""
        listener, loop = self._listener, self._loop
        assert listener is not None  # noqa: S101  # it was read just now
        assert loop is not None  # noqa: S101
        loop.remove_reader(listener.socket.fileno())

        def go_on() -> None:
            if self._listener is listener and self._loop is loop:
                Context().run(loop.add_reader, listener.socket.fileno(), self._accept)

        loop.call_later(_PAUSE, go_on, context=Context())

    async def _serve(self, connection: socket.socket) -> None:
        """Answer one question: with pieces of text, if it is one, and then what else there is."""
        with suppress(OSError, FrameError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                question = await receive(connection, QUESTION_BYTES)
                if not isinstance(question, dict):
                    return

                async def passed_on(piece: str) -> None:
                    await send(connection, packed(piece, ANSWER_BYTES))

                name, arguments = str(question.get("ask")), question.get("with")
                answer = await self._answered(None, name, arguments, passed_on)
                await send(connection, self._last(answer))

    def _last(self, answer: Answer) -> bytes:
        try:
            return packed({"value": answer.value, "missing": answer.missing}, ANSWER_BYTES)
        except FrameError as error:
            self._trouble("worker-answer", error)
            return packed({"value": None, "missing": "failed"}, ANSWER_BYTES)

    async def _answered(
        self,
        number: int | None,
        name: str,
        arguments: object,
        piece_came: Callable[[str], Awaitable[None]],
    ) -> Answer:
        function = self._answers.get(name)
        if function is None:
            return Answer(number, None, "unknown")
        try:
            value = await function(arguments if isinstance(arguments, dict) else {})
            if not isinstance(value, AsyncIterator):
                return Answer(number, value)
            async for piece in value:
                await piece_came(piece)
            return Answer(number, None)
        except OSError:
            raise  # the one that asked is gone
        except Exception as error:  # noqa: BLE001 - it is counted, and the others' answers stand
            self._trouble("worker-answer", error)
            return Answer(number, None, "failed")

    async def close(self) -> None:
        """Be reachable no more. May be called twice."""
        tasks = [task for task in self._tasks if task.get_loop() is loop_here()]
        self._leave()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def forget(self) -> None:
        """As `close`, from any thread and without waiting: in tests."""
        self._leave()

    def _leave(self) -> None:
        listener, loop = self._listener, self._loop
        self._listener = self._loop = None
        self._tasks = set()
        if listener is None:
            return
        # In a forked process the loop, and what it waits for, are copies of the parent's.
        if self._pid == os.getpid() and loop is not None and not loop.is_closed():
            number = listener.socket.fileno()
            if loop is loop_here():
                loop.remove_reader(number)
            else:
                with suppress(RuntimeError):  # it was closed just now
                    loop.call_soon_threadsafe(loop.remove_reader, number, context=Context())
        listener.close()

    # What this worker asks.

    async def ask_all(
        self, name: str, arguments: Mapping[str, Any] | None = None, timeout: float = TIMEOUT
    ) -> list[Answer]:
        """Ask all workers of this machine at once, this one too.

        Args:
            name: The question.
            arguments: What JSON can express, at most 64 KiB.
            timeout: Seconds that the others' answers may take.

        Returns:
            One answer a worker that runs, by number; missing ones are marked. This process answers
            also if it has no number, and takes the time that it needs.

        Raises:
            FrameError: If the arguments are too long, or JSON cannot express them.
        """
        others = self._questions(name, arguments, timeout)
        own = self._ask_own(self.number, name, dict(arguments or {}))
        return await _answers_of([own, *others])

    async def ask_others(
        self, name: str, arguments: Mapping[str, Any] | None = None, timeout: float = TIMEOUT
    ) -> list[Answer]:
        """The same without this worker: for what it has done already. See `ask_all`."""
        return await _answers_of(self._questions(name, arguments, timeout))

    def _questions(
        self, name: str, arguments: Mapping[str, Any] | None, timeout: float
    ) -> list[Coroutine[Any, Any, Answer | None]]:
        frame = packed({"ask": name, "with": dict(arguments or {})}, QUESTION_BYTES)
        if self.number is not None and self._loop is asyncio.get_running_loop():
            self.open()  # if a cleaner has removed the socket's file, nothing else shows that
        return [
            self._ask(number, path, frame, timeout)
            for number, path in paths(self._namespace()).items()
            if number != self.number
        ]

    async def _ask_own(self, number: int | None, name: str, arguments: dict[str, Any]) -> Answer:
        pieces: list[str] = []

        async def kept(piece: str) -> None:
            pieces.append(piece)

        answer = await self._answered(number, name, arguments, kept)
        return answer._replace(value=pieces) if pieces and answer.has_come else answer

    async def _ask(self, number: int, path: Path, frame: bytes, timeout: float) -> Answer | None:
        """The answer of another worker; None if none runs there."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            async with asyncio.timeout(timeout):
                await asyncio.get_running_loop().sock_connect(connection, os.fspath(path))
                await send(connection, frame)
                return await _received(number, connection)
        except (ConnectionRefusedError, FileNotFoundError):
            return None  # it was killed: the next that takes the number takes the socket's place
        except (OSError, FrameError, TimeoutError):
            return Answer(number, None, "silent")
        finally:
            connection.close()


async def _answers_of(asked: list[Coroutine[Any, Any, Answer | None]]) -> list[Answer]:
    """The answers, by number."""
    found = [answer for answer in await asyncio.gather(*asked) if answer is not None]
    return sorted(found, key=lambda answer: -1 if answer.worker is None else answer.worker)


async def _received(number: int, connection: socket.socket) -> Answer:
    """The answer of a worker, which may be of another release."""
    pieces: list[str] = []
    left = ANSWER_BYTES
    while isinstance(said := await receive(connection, left), str):
        left -= HEAD_BYTES + len(said.encode())
        pieces.append(said)
        await asyncio.sleep(0)  # what is here already is read without a turn of the event loop
    if not isinstance(said, dict) or said.get("missing") not in ("", "unknown", "failed"):
        return Answer(number, None, "failed")
    answer = Answer(number, said.get("value"), said["missing"])
    return answer._replace(value=pieces) if pieces and answer.has_come else answer
