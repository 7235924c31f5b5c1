"""The connection that readers of an event loop share: each gets the replies to its own question."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import InvalidResponse, RedisError

from asgi_multitier.redis.multiplexed import Multiplexed
from tests.patience import until
from tests.support import settled

LONG = 600.0


class Peer:
    """A server of which a test decides what it answers and when.

    Attributes:
        asked: What it was sent, on all connections.
        accepted: How many connections it was asked for.
    """

    def __init__(self) -> None:
        self.asked = b""
        self.accepted = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.accepted += 1
        self._writers.append(writer)
        while data := await reader.read(1000):
            self.asked += data

    async def send(self, *parts: bytes) -> None:
        """Answer on the last connection."""
        for part in parts:
            self._writers[-1].write(part)
            await self._writers[-1].drain()

    def hang_up(self) -> None:
        """Close the connections."""
        for writer in self._writers:
            writer.close()


class Dialled:
    """What redis-py gives: a connection that is opened, and handed over."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def connect(self) -> None:
        """Open it."""
        _, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    def hand_over(self) -> asyncio.StreamWriter:
        """Give it away."""
        return self._writer


@asynccontextmanager
async def talking(timeout: float = LONG) -> AsyncIterator[tuple[Peer, Multiplexed]]:
    """A server, and what asks it."""
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    shared = Multiplexed(cast("Callable[[], Any]", lambda: Dialled(port)), timeout)
    try:
        yield peer, shared
    finally:
        await shared.close()
        peer.hang_up()
        server.close()


async def ask(peer: Peer, shared: Multiplexed, *questions: tuple[bytes, int]) -> list[Any]:
    """Tasks that have asked, in this order, and the server has it all."""
    tasks = []
    wanted = len(peer.asked)
    for text, count in questions:
        tasks.append(asyncio.create_task(shared.ask(text, count)))
        wanted += len(text)
    await until(lambda: len(peer.asked) == wanted)
    return tasks


async def test_each_gets_the_replies_to_its_question() -> None:
    """Whichever way the bytes are cut, and on one connection."""
    async with talking() as (peer, shared):
        tasks = await ask(peer, shared, (b"a", 1), (b"bb", 2), (b"c", 1))
        await peer.send(b"$1\r\nA\r\n:", b"1\r", b"\n$-1\r\n-WRONG", b" type\r\n")
        first, second, third = await asyncio.gather(*tasks)

        assert (first, second) == ([b"A"], [1, None])
        assert isinstance(third[0], RedisError)
        assert (peer.asked, peer.accepted) == (b"abbc", 1)


async def test_who_leaves_takes_nothing_from_the_others() -> None:
    """The replies to its question are passed over; the connection stays."""
    async with talking() as (peer, shared):
        left, stays = await ask(peer, shared, (b"a", 2), (b"b", 1))
        left.cancel()
        await asyncio.wait({left})
        await peer.send(b":1\r\n:2\r\n:3\r\n")

        assert await stays == [3]
        (later,) = await ask(peer, shared, (b"c", 1))
        await peer.send(b":4\r\n")
        assert await later == [4]
        assert left.cancelled()
        assert peer.accepted == 1


async def test_one_that_leaves_while_it_is_opened_leaves_it_to_the_others() -> None:
    """No connection is cut off."""
    async with talking() as (peer, shared):
        first = asyncio.create_task(shared.ask(b"a", 1))
        second = asyncio.create_task(shared.ask(b"b", 1))
        await asyncio.sleep(0)
        first.cancel()
        await until(lambda: peer.asked == b"b")
        await peer.send(b":2\r\n")

        assert await second == [2]
        assert peer.accepted == 1


async def test_a_server_that_hangs_is_left() -> None:
    """The oldest question decides, and all that wait get the error; the next one connects."""
    async with talking(timeout=0.05) as (peer, shared):
        (answered,) = await ask(peer, shared, (b"a", 1))
        await peer.send(b":1\r\n")
        assert await answered == [1]
        waiting = await ask(peer, shared, (b"b", 1), (b"c", 1))
        errors = await asyncio.gather(*waiting, return_exceptions=True)

        assert [type(error) for error in errors] == [TimeoutError, TimeoutError]
        again = asyncio.create_task(shared.ask(b"d", 1))
        await until(lambda: peer.accepted == 2)
        again.cancel()


async def test_the_time_of_a_question_is_its_own() -> None:
    """One asked later than another is watched from when it was asked."""
    loop = asyncio.get_running_loop()
    ahead = 0.0
    real = loop.time
    async with talking(timeout=100.0) as (peer, shared):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(loop, "time", lambda: real() + ahead)
            (first,) = await ask(peer, shared, (b"a", 1))
            ahead = 60.0
            (second,) = await ask(peer, shared, (b"b", 1))
            await peer.send(b":1\r\n")
            assert await first == [1]
            ahead = 120.0  # what watched the first rings
            await settled()
            assert not second.done()
            ahead = 180.0
            with pytest.raises(TimeoutError):
                await second


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        pytest.param(b"?what\r\n", InvalidResponse, id="no reply"),
        pytest.param(None, LostError, id="closed"),
    ],
)
async def test_a_connection_that_breaks_is_replaced(sent: bytes | None, error: type) -> None:
    """All that wait get the error, and the next question another connection."""
    async with talking() as (peer, shared):
        waiting = await ask(peer, shared, (b"a", 1), (b"b", 1))
        if sent is None:
            peer.hang_up()
        else:
            await peer.send(sent)
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        (again,) = await ask(peer, shared, (b"c", 1))
        await peer.send(b":3\r\n")

        assert [type(one) for one in errors] == [error, error]
        assert await again == [3]
        assert peer.accepted == 2


async def test_a_reply_to_no_question_ends_the_connection() -> None:
    """What comes next could be taken for the answer to another question."""
    loop, unforeseen = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: unforeseen.append(context))
    async with talking() as (peer, shared):
        (asked,) = await ask(peer, shared, (b"a", 1))
        await peer.send(b":1\r\n:2\r\n")
        assert await asked == [1]
        again = asyncio.create_task(shared.ask(b"b", 1))
        await until(lambda: peer.asked == b"ab" and peer.accepted == 2)
        await peer.send(b":3\r\n")

        assert await again == [3]
        assert unforeseen == []


async def test_what_cannot_connect_fails_for_all_that_wait_and_is_tried_again() -> None:
    """Each gets the error."""
    shared = Multiplexed(cast("Callable[[], Any]", lambda: Dialled(1)), LONG)
    for _ in range(2):
        asked = (shared.ask(b"a", 1), shared.ask(b"b", 1))
        errors = await asyncio.gather(*asked, return_exceptions=True)

        assert [type(error) for error in errors] == [ConnectionRefusedError] * 2
    await shared.close()


async def test_closing_ends_what_waits() -> None:
    """A question that is under way fails, and one that waits for the connection is cancelled."""
    async with talking() as (peer, shared):
        (asked,) = await ask(peer, shared, (b"a", 1))
        await shared.close()
        with pytest.raises(LostError):
            await asked
        opening = asyncio.create_task(shared.ask(b"b", 1))
        await asyncio.sleep(0)
        await shared.close()
        (gone,) = await asyncio.gather(opening, return_exceptions=True)

        assert isinstance(gone, asyncio.CancelledError | LostError)


async def test_dropped_it_is_opened_again() -> None:
    """As where another server is the master now."""
    async with talking() as (peer, shared):
        shared.drop()
        (asked,) = await ask(peer, shared, (b"a", 1))
        shared.drop()
        with pytest.raises(LostError):
            await asked
        (again,) = await ask(peer, shared, (b"b", 1))
        await peer.send(b":2\r\n")

        assert await again == [2]
        assert peer.accepted == 2
