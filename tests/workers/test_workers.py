"""Workers ask each other: all that run answer, and what does not is marked."""

import asyncio
import errno
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from asgi_multitier.coherence.nearby.directory import places
from asgi_multitier.workers import Answer, Workers, claims, frames, sockets, workers
from tests.patience import until
from tests.support import pass_time

Failures = list[tuple[str, Exception]]


class World:
    """Workers of one application in one process."""

    def __init__(self) -> None:
        self.failures: Failures = []
        self.made: list[Workers] = []

    def worker(self, name: str, *, opened: bool = True) -> Workers:
        """A worker that answers `"who"` with its name."""
        made = Workers(lambda: "n", lambda what, error: self.failures.append((what, error)))

        async def who(arguments: dict[str, Any]) -> Any:
            return {"name": name, **arguments}

        made.answers("who", who)
        if opened:
            made.open()
        self.made.append(made)
        return made


@pytest.fixture
async def world(runtime: Path) -> AsyncIterator[World]:
    """A directory of the test's own; afterwards nothing is left in it."""
    made = World()
    yield made
    for one in made.made:
        await one.close()
    assert [file for _, _, files in os.walk(runtime) for file in files] == []


def place() -> Path:
    """Where the sockets are."""
    return places("n", "workers")[0]


def names(answers: list[Answer]) -> list[tuple[int | None, Any, str]]:
    """Who has answered, and what is missing."""
    return [(one.worker, (one.value or {}).get("name"), one.missing) for one in answers]


async def test_each_answers_for_itself_whoever_is_asked(world: World) -> None:
    """By number, which is the smallest that was free; arguments reach all."""
    one, two, three = (world.worker(name) for name in ("a", "b", "c"))

    expected = [(0, "a", ""), (1, "b", ""), (2, "c", "")]
    assert [names(await each.ask_all("who")) for each in (one, two, three)] == [expected] * 3
    assert [answer.value for answer in await two.ask_all("who", {"x": [1]})] == [
        {"name": "a", "x": [1]},
        {"name": "b", "x": [1]},
        {"name": "c", "x": [1]},
    ]
    assert all(answer.has_come for answer in await one.ask_all("who"))


async def test_a_number_that_is_free_again_is_taken_first(world: World) -> None:
    """So numbers stay small, whatever comes and goes."""
    one, two = world.worker("a"), world.worker("b")
    await one.close()
    await one.close()
    three = world.worker("c")

    assert (one.number, two.number, three.number) == (None, 1, 0)
    assert names(await two.ask_all("who")) == [(0, "c", ""), (1, "b", "")]


async def test_one_that_cannot_be_asked_asks_all_the_same(world: World) -> None:
    """A program on the same machine has no number, and its own answer is there."""
    world.worker("a")
    program = world.worker("p", opened=False)

    assert names(await program.ask_all("who")) == [(None, "p", ""), (0, "a", "")]
    assert "not reachable" in repr(program)


async def test_a_text_comes_in_pieces(world: World) -> None:
    """From all that give it; it may be long."""
    one, two = world.worker("a"), world.worker("b")
    pieces = ["é\n" * 200_000, "", "end"]

    async def made() -> AsyncIterator[str]:
        for piece in pieces:
            yield piece

    async def answer(arguments: dict[str, Any]) -> Any:
        return made()

    for each in (one, two):
        each.answers("text", answer)
    assert [found.value for found in await one.ask_all("text", timeout=30)] == [pieces] * 2


async def test_a_text_that_breaks_off_is_missing(world: World) -> None:
    """A part of it would be taken for all."""
    one, two = world.worker("a"), world.worker("b")

    async def made() -> AsyncIterator[str]:
        yield "begun"
        raise RuntimeError("no")

    async def answer(arguments: dict[str, Any]) -> Any:
        return made()

    for each in (one, two):
        each.answers("text", answer)
    assert await one.ask_all("text") == [(0, None, "failed"), (1, None, "failed")]


async def test_texts_together_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not each of its pieces alone."""
    one, two = world.worker("a"), world.worker("b")
    monkeypatch.setattr(workers, "ANSWER_BYTES", 1_000)

    async def made() -> AsyncIterator[str]:
        for _ in range(3):
            yield "x" * 400

    async def answer(arguments: dict[str, Any]) -> Any:
        return made()

    two.answers("text", answer)
    assert (await one.ask_all("text"))[1] == (1, None, "silent")


async def test_what_does_not_answer_is_marked(world: World) -> None:
    """Slow, broken, or of another release; the others' answers stand."""
    asker, slow, broken = world.worker("a"), world.worker("b"), world.worker("c")
    other = Workers(lambda: "n", lambda what, error: None)
    other.open()
    world.made.append(other)
    stuck = asyncio.Event()

    async def wait(arguments: dict[str, Any]) -> Any:
        await stuck.wait()

    async def fail(arguments: dict[str, Any]) -> Any:
        raise RuntimeError("no")

    slow.answers("who", wait)
    broken.answers("who", fail)

    assert names(await asker.ask_all("who")) == [
        (0, "a", ""), (1, None, "silent"), (2, None, "failed"), (3, None, "unknown"),
    ]  # fmt: skip
    assert {what for what, _ in world.failures} == {"worker-answer"}


UNSENDABLE = [
    pytest.param([object()], id="no JSON"),
    pytest.param(["x" * 2_000], id="too long"),
    pytest.param(["\ud800"], id="no text"),
]


@pytest.mark.parametrize("value", UNSENDABLE)
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_an_answer_that_cannot_be_sent_failed(
    world: World, monkeypatch: pytest.MonkeyPatch, value: list[Any], in_pieces: bool
) -> None:
    """It is counted where it was made."""
    monkeypatch.setattr(workers, "ANSWER_BYTES", 1_000)
    asker, other = world.worker("a"), world.worker("b")

    async def pieces() -> AsyncIterator[Any]:
        for piece in value:
            yield piece

    async def answer(arguments: dict[str, Any]) -> Any:
        return pieces() if in_pieces else value

    other.answers("who", answer)
    _, found = await asker.ask_all("who")

    assert found == (1, None, "failed")
    assert [what for what, _ in world.failures] == ["worker-answer"]


async def test_a_question_that_is_too_long_is_refused_at_once(world: World) -> None:
    """By the one who asks it."""
    with pytest.raises(frames.FrameError, match="65536"):
        await world.worker("a").ask_all("who", {"x": "y" * frames.QUESTION_BYTES})


def test_a_text_that_cannot_be_written_is_no_frame() -> None:
    """It cannot be in UTF-8."""
    with pytest.raises(frames.FrameError, match="surrogates"):
        frames.packed("\ud800", 100)


STRANGE = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"j\xff\xff\xff\xff", id="a length beyond the bound"),
    pytest.param(b"j\0\0\0\x09{", id="less than it says"),
    pytest.param(b"j\0\0\0\x01{", id="no JSON"),
    pytest.param(b"j\0\0\0\x02[]", id="no question"),
    pytest.param(b"t\0\0\0\x01\xff", id="no text"),
]


@pytest.mark.parametrize("data", STRANGE)
async def test_strange_questions_harm_nothing(world: World, data: bytes) -> None:
    """The connection ends without an answer, and the next question is answered."""
    one = world.worker("a")
    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: failures.append(told))
    reader, writer = await asyncio.open_unix_connection(place() / "0.sock")
    writer.write(data)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    gc.collect()  # a task that has failed says so when it is deleted
    assert failures == []

    assert names(await one.ask_all("who")) == [(0, "a", "")]


async def test_arguments_of_another_shape_are_none(world: World) -> None:
    """Each function gets a dictionary."""
    world.worker("a")
    reader, writer = await asyncio.open_unix_connection(place() / "0.sock")
    writer.write(frames.packed({"ask": "who", "with": [1]}, 100))
    assert frames.packed({"value": {"name": "a"}, "missing": ""}, 100) == await reader.read()
    writer.close()
    await writer.wait_closed()


async def test_one_that_asks_nothing_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep its place for ever."""
    monkeypatch.setattr(workers, "_PATIENCE", 0.01)
    world.worker("a")
    reader, writer = await asyncio.open_unix_connection(place() / "0.sock")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"", "silent"),
        (b"j\xff\xff\xff\xff", "silent"),
        (frames.packed([], 100), "failed"),
        (frames.packed({"value": 1}, 100), "failed"),
        (frames.packed({"value": 1, "missing": "new"}, 100), "failed"),
        (frames.packed("", 100) * 200 + frames.packed({"value": 1, "missing": ""}, 100), "silent"),
    ],
)
async def test_strange_answers_are_missing(
    world: World, data: bytes, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a process that is no worker of this package, or of another release."""
    monkeypatch.setattr(workers, "ANSWER_BYTES", 1_000)
    one = world.worker("a")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.write(data)
        writer.close()
        await writer.wait_closed()

    path = place() / "7.sock"
    async with await asyncio.start_unix_server(answer, path):
        assert names(await one.ask_all("who")) == [(0, "a", ""), (7, None, missing)]
    path.unlink(missing_ok=True)


async def test_an_answer_in_very_many_pieces_leaves_turns_to_others(world: World) -> None:
    """What is here already is read at once, so nothing else would run until its end."""
    one, turns = world.worker("a"), 0
    data = frames.packed("x", 100) * 1_000 + frames.packed({"value": None, "missing": ""}, 100)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    path = place() / "7.sock"
    async with await asyncio.start_unix_server(answer, path):
        counting = asyncio.create_task(count())
        found = await one.ask_all("who", timeout=30)
        counting.cancel()
    assert len(found[1].value) == 1_000
    assert turns >= 1_000
    path.unlink(missing_ok=True)


async def test_the_socket_of_a_killed_worker_is_no_worker(world: World) -> None:
    """It refuses; and the next that takes the number takes its place."""
    place().parent.mkdir(0o700, exist_ok=True)
    place().mkdir(0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(place() / "0.sock"))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(place() / "1.sock"))
    one = world.worker("a")
    assert names(await one.ask_all("who")) == [(0, "a", "")]

    two = world.worker("b")
    assert names(await one.ask_all("who")) == [(0, "a", ""), (1, "b", "")]
    assert two.number == 1


async def test_a_removed_socket_is_made_again_when_its_worker_asks(world: World) -> None:
    """Cleaners of temporary files remove what looks old; another worker may have the number now."""
    one, two = world.worker("a"), world.worker("b")
    for path in place().iterdir():
        path.unlink()
    three = world.worker("c")

    assert names(await two.ask_all("who")) == [(0, "c", ""), (1, "b", "")]
    assert names(await one.ask_all("who")) == [(0, "c", ""), (1, "b", ""), (2, "a", "")]
    assert names(await three.ask_all("who")) == [(0, "c", ""), (1, "b", ""), (2, "a", "")]


async def test_another_user_is_not_answered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory admits none; should it ever, the kernel tells who asks."""
    asker, other = world.worker("a"), world.worker("b")
    found = sockets.paths("n")
    user = os.geteuid()
    monkeypatch.setattr(sockets.os, "geteuid", lambda: user + 1)
    monkeypatch.setattr(workers, "paths", lambda _: found)

    assert names(await asker.ask_all("who"))[other.number or 0] == (1, None, "silent")


async def test_only_so_many_are_answered_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more finds the connection closed, and is told at once."""
    monkeypatch.setattr(workers, "_CONNECTIONS", 1)
    asker, other = world.worker("a"), world.worker("b")
    reader, writer = await asyncio.open_unix_connection(place() / "1.sock")
    await until(lambda: len(other._tasks) == 1)

    assert names(await asker.ask_all("who", timeout=30))[1] == (1, None, "silent")

    writer.close()
    await writer.wait_closed()
    await until(lambda: not other._tasks)
    assert names(await asker.ask_all("who"))[1] == (1, "b", "")
    assert await reader.read() == b""


async def test_closing_ends_what_is_being_answered(world: World) -> None:
    """Its asker sees the end of the connection."""
    asker, other = world.worker("a"), world.worker("b")
    begun = asyncio.Event()

    async def wait(arguments: dict[str, Any]) -> Any:
        begun.set()
        await asyncio.Event().wait()

    other.answers("who", wait)
    asking = asyncio.create_task(asker.ask_all("who", timeout=30))
    await begun.wait()
    await other.close()

    assert names(await asking) == [(0, "a", ""), (1, None, "silent")]


async def test_where_it_is_impossible_it_is_counted_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where all numbers are taken; and the process answers for itself."""
    monkeypatch.setattr(claims, "MOST", 0)
    one = world.worker("a")

    assert names(await one.ask_all("who")) == [(None, "a", "")]
    assert [what for what, _ in world.failures] == ["workers"]


LACKS = [
    pytest.param("socket.AF_UNIX", id="no Unix sockets"),
    pytest.param("os.geteuid", id="no users"),
    pytest.param("", id="no file locks"),
]


@pytest.mark.parametrize("name", LACKS)
async def test_a_system_without_what_it_needs_is_no_trouble(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """There are no other workers that could be asked."""
    if name:
        monkeypatch.delattr(name)
    else:
        monkeypatch.setattr(claims, "fcntl", None)
    one = world.worker("a")

    assert (one.number, world.failures) == (None, [])


class Exhausted:
    """A listening socket of a process that has no free descriptors, for so many tries."""

    def __init__(self, listener: Any, tries: int) -> None:
        self.tries = 0
        self._listener, self._real, self._most = listener, listener.socket, tries
        listener.socket = self

    def accept(self) -> Any:
        self.tries += 1
        if self.tries == self._most:
            self.end()
        raise OSError(errno.EMFILE, "Too many open files")

    def fileno(self) -> int:
        return int(self._real.fileno())

    def end(self) -> None:
        self._listener.socket = self._real


async def test_a_process_without_free_descriptors_goes_on_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked is answered then, and each try is counted."""
    monkeypatch.setattr(workers, "_PAUSE", 0.01)
    asker, other = world.worker("a"), world.worker("b")
    exhausted = Exhausted(other._listener, 2)

    assert names(await asker.ask_all("who", timeout=30)) == [(0, "a", ""), (1, "b", "")]
    assert exhausted.tries == 2
    assert [what for what, _ in world.failures] == ["workers"] * 2


async def test_a_process_without_free_descriptors_does_not_spin(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket stays readable, and is not asked again at once."""
    monkeypatch.setattr(workers, "_PAUSE", 3_600.0)
    asker, other = world.worker("a"), world.worker("b")
    exhausted = Exhausted(other._listener, 1_000)
    asking = asyncio.create_task(asker.ask_all("who", timeout=30))
    await until(lambda: exhausted.tries)
    for _ in range(20):
        await asyncio.sleep(0)

    assert exhausted.tries == 1
    exhausted.end()
    asking.cancel()
    await asyncio.wait({asking})


async def test_a_socket_that_is_closed_meanwhile_is_not_listened_to_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of its descriptor may be another's by then."""
    monkeypatch.setattr(workers, "_PAUSE", 0.0)
    broken: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: broken.append(told))
    one = world.worker("a")
    one._pause()
    await one.close()
    await pass_time(1)

    assert broken == []
    assert one.number is None


async def test_a_socket_that_cannot_be_made_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is free for another."""

    def fail(self: Path, mode: int) -> None:
        raise PermissionError("no")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "chmod", fail)
        world.worker("a")

    assert [what for what, _ in world.failures] == ["workers"]
    assert world.worker("b").number == 0


@pytest.mark.parametrize("ended", [False, True], ids=["an idle loop", "a loop that has ended"])
def test_it_is_left_from_outside_its_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    """As between tests, by whatever thread."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(tmp_path))
    world, loop = World(), asyncio.Runner()

    async def opened() -> None:
        world.worker("a")

    loop.run(opened())
    if ended:
        loop.close()
    world.made[0].forget()
    assert world.made[0].number is None
    assert sockets.paths("n") == {}
    if not ended:
        loop.run(asyncio.sleep(0))
        loop.close()


async def test_a_directory_that_others_may_write_is_not_used(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in it could be anyone's."""
    monkeypatch.setattr(sockets, "places", lambda *_: [tmp_path / "open"])
    (tmp_path / "open").mkdir(0o777)
    (tmp_path / "open").chmod(0o777)
    one = world.worker("a")

    assert one.number is None
    assert [type(error) for _, error in world.failures] == [PermissionError]
    (tmp_path / "open").rmdir()


@pytest.mark.parametrize("opened", ["place", "parent", "link"])
async def test_what_others_could_have_placed_there_is_not_asked(
    world: World, opened: str, tmp_path: Path
) -> None:
    """Another user may make the directory first: it would get the questions, and answer them."""
    one = world.worker("a")
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(4))
        writer.close()
        await writer.wait_closed()

    path, real = place() / "7.sock", place()
    async with await asyncio.start_unix_server(answer, path):
        if opened == "link":
            real = real.rename(tmp_path / "elsewhere")
            place().symlink_to(real)
        else:
            (place() if opened == "place" else place().parent).chmod(0o755)
        assert names(await one.ask_all("who")) == [(0, "a", "")]
    assert asked == []
    if opened == "link":
        place().unlink()
        real.rename(place())
    path.unlink(missing_ok=True)


async def test_a_directory_that_disappears_meanwhile_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last worker of an application removes it when it ends."""
    real, tries = sockets.claim, []

    def claim(directory: Path) -> Any:
        tries.append(directory)
        if len(tries) == 1:
            directory.rmdir()
        return real(directory)

    monkeypatch.setattr(sockets, "claim", claim)
    assert world.worker("a").number == 0
    assert tries == [place()] * 2


async def test_a_lock_that_its_holder_has_just_removed_is_not_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one may have made the file again, and hold that."""
    real, seen = claims.fcntl.flock, []

    def flock(lock: int, how: int) -> None:
        real(lock, how)
        seen.append(lock)
        if len(seen) == 1:
            (place() / "0.lock").unlink()

    monkeypatch.setattr(claims.fcntl, "flock", flock)
    assert world.worker("a").number == 0
    assert len(seen) == 2


CALLER: ContextVar[str] = ContextVar("caller", default="no one")


def test_a_lock_that_leads_elsewhere_is_not_opened(tmp_path: Path) -> None:
    """A file in another place would be made, and locked."""
    (tmp_path / "0.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        claims.claim(tmp_path)

    assert not (tmp_path / "elsewhere").exists()


async def test_answers_stand_in_no_request(world: World) -> None:
    """Who opens the socket may do so within a request: its context is not kept."""
    token = CALLER.set("a request's")
    asker, other = world.worker("a"), world.worker("b")
    CALLER.reset(token)

    async def answer(arguments: dict[str, Any]) -> Any:
        return {"name": CALLER.get()}

    other.answers("who", answer)
    CALLER.set("the asker's")
    assert names(await asker.ask_all("who"))[1] == (1, "no one", "")


def in_a_loop(function: Callable[[], Any]) -> Any:
    """What the function gives in an event loop of its own."""
    with asyncio.Runner() as runner:
        return runner.run(function())


@pytest.mark.parametrize("ends", [True, False], ids=["that has ended", "that goes on"])
@pytest.mark.usefixtures("runtime")
def test_it_moves_to_another_event_loop(ends: bool) -> None:
    """With its number."""
    world = World()

    async def first() -> None:
        world.worker("a")

    async def second() -> Any:
        world.made[0].open()
        other = world.worker("b")
        found = names(await other.ask_all("who"))
        for one in world.made:
            await one.close()
        return found

    before = asyncio.Runner()
    before.run(first())
    if ends:
        before.close()
    assert in_a_loop(second) == [(0, "a", ""), (1, "b", "")]
    if not ends:
        before.close()


@pytest.mark.usefixtures("runtime")
def test_a_forked_process_takes_a_number_of_its_own() -> None:
    """And holds none of its parent's, whether it uses the cache or not."""
    world = World()

    async def parent() -> Any:
        one = world.worker("a")
        idle = _forked(lambda told, _: None)
        child = _forked(_child)
        assert child.read() == b"None 1"
        found = names(await one.ask_all("who"))
        child.end()
        after = names(await one.ask_all("who"))
        # As if it were killed: its number is free although its idle child is alive.
        (held,) = [held for held in claims._held if held.path == place() / "0.lock"]
        lock, held._lock = held._lock, None
        assert lock is not None
        os.close(lock)
        world.made.append(two := Workers(lambda: "n", lambda *_: None))
        two.open()
        number = two.number
        await two.close()
        await one.close()
        idle.end()
        return found, after, number

    def _child(told: Callable[[bytes], None], hold: Callable[[], None]) -> None:
        one = world.made[0]
        before = one.number

        async def answer() -> None:
            one.open()
            told(f"{before} {one.number}".encode())
            await asyncio.get_running_loop().run_in_executor(None, hold)
            await one.close()

        with suppress(RuntimeError):
            asyncio.events._set_running_loop(None)
        asyncio.new_event_loop().run_until_complete(answer())

    found, after, number = in_a_loop(parent)
    assert found == [(0, "a", ""), (1, "a", "")]
    assert after == [(0, "a", "")]
    assert number == 0


class _Child:
    """A forked process, which waits until it may end."""

    def __init__(self, run: Callable[..., Any]) -> None:
        told, tell = os.pipe()
        held, release = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(release)
                run(lambda data: os.write(tell, data), lambda: os.read(held, 1))
                os.read(held, 1)
                status = 0
            finally:
                os._exit(status)
        os.close(tell)
        os.close(held)
        self._told, self._release = told, release

    def read(self) -> bytes:
        """What it has told."""
        return os.read(self._told, 100)

    def end(self) -> None:
        """Let it end, and see that it has ended well."""
        os.close(self._release)
        os.close(self._told)
        assert os.waitpid(self.pid, 0)[1] == 0


_forked = _Child
