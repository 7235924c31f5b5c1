"""Processes that end in order, and fleets that are replaced one process after the other."""

import asyncio
import itertools
import re
import signal
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

import pytest

from tests.coherence.probe import Caller, Instance, Probe, listen
from tests.coherence.versions import Versions
from tests.figures import Figure, seconds
from tests.patience import until
from tests.servers import FaultProxy, ValkeyServer

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

EXIT = 7.0
"""Seconds from SIGTERM until a process has left."""

WATCHED = "from tests.coherence.watched import serve\nserve(*sockets)"


class Release(NamedTuple):
    """What a process runs.

    Attributes:
        command: The process's code.
        settings: Further environment.
    """

    command: str = "serve(application(), *sockets)"
    settings: Mapping[str, str] = MappingProxyType({})


SAME = Release()
OTHER_FORMAT = Release("from asgi_multitier.tiers import codec\ncodec.FORMAT += 1\n" + SAME.command)
OTHER_RELEASE = Release(settings={"ASGI_MULTITIER_VERSION": "two"})


class Ending:
    """A process that is watched to its end, and one that stays.

    Args:
        place: The directory of the shared files.
        leaving: Where the first one finds Redis.
        staying: Where the other one does.
        namespace: The cache's namespace.
        settings: Further environment of the first.
    """

    def __init__(
        self, place: Path, leaving: str, staying: str, namespace: str, **settings: str
    ) -> None:
        self.go = place / "go"
        self._notes, self._said = place / "notes", place / "said"
        make = partial(Instance, place, namespace=namespace, command=WATCHED)
        self.leaving = make(redis_url=leaving, settings=settings, said=self._said)
        self.staying = make(redis_url=staying)
        self.versions = Versions(place / "versions")

    async def __aenter__(self) -> Self:
        await self.leaving.wait()
        await self.staying.wait()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.leaving.close()
        self.staying.close()

    def notes(self) -> list[str]:
        """What was noted, by both."""
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    def said(self) -> str:
        """What the first one wrote to its log."""
        return self._said.read_text()

    async def noted(self, line: str) -> None:
        """Wait for a line."""
        await until(lambda: line in self.notes(), 5)

    async def renew(self, target: str) -> None:
        """Have a background run begin."""

        async def is_renewed() -> bool:
            await self.leaving.ask(target)
            return "renewing" in self.notes()

        assert (await self.leaving.ask(target)).text == "first"
        await until(is_renewed, 5)

    async def is_fresh(self, key: int) -> bool:
        """Whether the one that stays has the last version."""
        return int((await self.staying.ask(f"/v/{key}")).text) == self.versions[key]


async def edit_until_gone(process: Instance, key: int) -> int:
    """Edit and read until the process takes no more; how many edits it answered."""
    caller, answered = process.caller(), 0
    with suppress(ConnectionError):
        while True:
            reply = await caller.ask(f"/tag/{key}", "PUT")
            assert reply.status == 200
            answered += 1
            assert reply.text == (await caller.ask(f"/v/{key}")).text == str(answered)
    return answered


async def test_a_stop_under_load_answers_all_that_has_begun(
    valkey: ValkeyServer, namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """SIGTERM among edits and slow answers: none is lost, nothing outdated is left elsewhere."""
    async with Ending(tmp_path, valkey.url, valkey.url, namespace) as ending:
        process = ending.leaving
        await ending.staying.warm(range(1, 9))
        editors = [asyncio.create_task(edit_until_gone(process, key)) for key in range(1, 9)]
        targets = [f"/slow/{number % 4}" for number in range(12)]
        slow = [asyncio.create_task(process.ask(target)) for target in targets]

        async def is_loaded() -> bool:
            waiting = (await process.stats())["waiting"] == len(targets) - 4
            return waiting and all(ending.versions[key] >= 10 for key in range(1, 9))

        await until(is_loaded, 10)
        now = asyncio.get_running_loop().time
        stopped = now()
        process.signal(signal.SIGTERM)
        # It takes no connection any more when all of these have ended.
        answered = await asyncio.gather(*editors)
        ending.go.touch()
        await process.gone(EXIT)
        taken = now() - stopped
        replies = await asyncio.gather(*slow)
        for key in range(1, 9):
            await until(partial(ending.is_fresh, key), 1)

        figure("SIGTERM under load, gone after", seconds(taken), f"{EXIT:g} s")
        made = [ending.versions[key] for key in range(1, 9)]
        lost = f"{sum(made) - sum(answered)} of {sum(made)}"
        figure("SIGTERM under load, edits not answered", lost, "0")
        assert list(answered) == made
        assert {(reply.status, reply.text) for reply in replies} == {(200, "slow " * 200)}
        assert ending.notes()[-1] == "left"
        assert ending.said() == ""


async def test_a_stop_waits_for_background_runs_and_for_what_they_write(
    valkey: ValkeyServer, namespace: str, tmp_path: Path
) -> None:
    """A renewal that is under way ends, and the others have what it brought."""
    async with (
        FaultProxy(valkey.port) as door,
        Ending(tmp_path, door.url, valkey.url, namespace) as ending,
    ):
        await ending.renew("/renewed/x")
        # A write is not done as soon as it is begun.
        door.delay = 0.05
        ending.leaving.signal(signal.SIGTERM)
        await ending.noted("stopping")
        ending.go.touch()
        await ending.leaving.gone(EXIT)

        assert (await ending.staying.ask("/renewed/x")).text == "renewed"
        assert "left" in ending.notes()
        assert ending.said() == ""


async def test_a_stop_sends_what_waits_to_be_told(
    valkey: ValkeyServer, namespace: str, tmp_path: Path
) -> None:
    """An edit that Redis could not be told of: the last thing that a process does."""
    async with FaultProxy(valkey.port) as door:
        leaving, staying = door.url, valkey.url
        async with Ending(tmp_path, leaving, staying, namespace, HOLDS_ITS_END="1") as ending:
            await ending.staying.warm([1])
            door.refuse()
            door.reset()
            assert (await ending.leaving.ask("/tag/1", "PUT")).text == "1"
            assert (await ending.staying.ask("/v/1")).text == "0"
            ending.leaving.signal(signal.SIGTERM)
            await ending.noted("ending")
            # The sender tries again each half second by now; the stop does not leave it that long.
            door.refuse(False)
            ending.go.touch()
            await ending.leaving.gone(EXIT)

            await until(partial(ending.is_fresh, 1), 1)
            assert ending.notes()[-1] == "left"
            assert "invalidations are lost" not in ending.said()


async def test_a_stop_gives_up_what_does_not_end_and_says_what_is_lost(
    valkey: ValkeyServer, namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """A renewal that hangs and a Redis that hangs: five seconds and one, and then it is gone."""
    async with (
        FaultProxy(valkey.port) as door,
        Ending(tmp_path, door.url, valkey.url, namespace) as ending,
    ):
        await ending.renew("/renewed/x")
        door.stall()
        assert (await ending.leaving.ask("/tag/1", "PUT")).text == "1"
        ending.leaving.signal(signal.SIGTERM)
        taken = await ending.leaving.gone(EXIT)

        figure("a hanging renewal and Redis, gone after", seconds(taken), f"{EXIT:g} s")
        assert ending.notes()[-1] == "left"
        assert re.search(r"[1-9]\d* invalidations are lost", ending.said())


class Seat:
    """One place in a fleet: a socket that stays, and the process that serves it now.

    Args:
        place: The directory of the shared files.
        url: Where Redis is.
        namespace: The cache's namespace.

    Attributes:
        process: The process.
        errors: Answers to its reader other than 200.
    """

    def __init__(self, place: Path, url: str, namespace: str) -> None:
        self._socket = listen()
        self._make = partial(Instance, place, url, namespace, listeners=[self._socket])
        self._hits: deque[bool] = deque(maxlen=50)
        self._callers: list[Caller] = []
        self.process = self._make()
        self.errors = 0

    def caller(self) -> Caller:
        """A connection to whichever process serves, closed with this."""
        self._callers.append(Caller(self.process.port))
        return self._callers[-1]

    async def replace(self, release: Release) -> None:
        """SIGTERM, and a process of this release when the old one has gone."""
        self.process.signal(signal.SIGTERM)
        await self.process.gone(EXIT)
        self.process.close()
        self._hits.clear()
        self.process = self._make(command=release.command, settings=release.settings)
        await self.process.wait()

    async def read(self, keys: Sequence[int]) -> None:
        """Ask for one key after the other without end, at a reader's pace."""
        caller = self.caller()
        for key in itertools.cycle(keys):
            # A process that ends closes what nobody has asked on: the next one is asked.
            with suppress(ConnectionError):
                reply = await caller.ask(f"/v/{key}")
                self.errors += reply.status != 200
                self._hits.append(b"; hit" in reply.head)
            await asyncio.sleep(0.01)

    def is_warm(self) -> bool:
        """Whether nine of ten of its last answers, and enough of them, were hits."""
        return len(self._hits) == self._hits.maxlen and sum(self._hits) >= 0.9 * len(self._hits)

    def close(self) -> None:
        """End it."""
        for caller in self._callers:
            caller.close()
        self.process.close()
        self._socket.close()


@asynccontextmanager
async def fleet(place: Path, url: str, namespace: str) -> AsyncIterator[list[Seat]]:
    """Four processes."""
    seats = [Seat(place, url, namespace) for _ in range(4)]
    try:
        for seat in seats:
            await seat.process.wait()
        yield seats
    finally:
        for seat in seats:
            seat.close()


@asynccontextmanager
async def read(seats: Sequence[Seat], keys: Sequence[int]) -> AsyncIterator[None]:
    """A reader for each while the block runs, each beginning with other keys."""
    share = len(keys) // len(seats)
    tasks = [
        asyncio.create_task(seat.read([*keys[share * n :], *keys[: share * n]]))
        for n, seat in enumerate(seats)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended


@pytest.mark.parametrize(
    ("release", "count"),
    [
        # More keys than a process is asked for in five seconds: what it serves, others have filled.
        pytest.param(SAME, 1_000, id="same"),
        pytest.param(OTHER_FORMAT, 40, id="another format"),
        pytest.param(OTHER_RELEASE, 40, id="another release"),
    ],
)
async def test_a_fleet_is_replaced_one_by_one_and_nobody_notices(
    own_valkey: ValkeyServer,
    namespace: str,
    tmp_path: Path,
    figure: Figure,
    release: Release,
    count: int,
    request: pytest.FixtureRequest,
) -> None:
    """Under edits and reads: no error, nothing outdated, and soon as many hits as before."""
    # No glob of an edit, such as /v/1*, names any of the other keys.
    edited, keys = range(1, 5), range(5_000, 5_000 + count)
    async with fleet(tmp_path, own_valkey.url, namespace) as seats:
        share = count // len(seats)
        await asyncio.gather(
            *(seat.process.warm(keys[share * n : share * (n + 1)]) for n, seat in enumerate(seats))
        )
        await until(lambda: own_valkey.command("DBSIZE") >= count, 5)
        probe = Probe([seat.caller for seat in seats], edited)
        again = []
        async with read(seats, keys), probe.running(("tag", "path", "glob"), pause=0.02):
            await until(lambda: all(seat.is_warm() for seat in seats), 10)
            for seat in seats:
                await seat.replace(release)
                again.append(await until(seat.is_warm, 5))
        versions = Versions(tmp_path / "versions")

        name = f"four processes replaced ({request.node.callspec.id})"
        figure(name, probe.summary(), "0 after 1 s")
        figure(f"{name}, hits at 90 % after", seconds(max(again)), "5 s")
        assert not sum(seat.errors for seat in seats)
        # What was not answered was not done either: whoever asked may send it again.
        assert probe.edits == sum(versions[key] for key in edited)


async def test_an_entry_of_another_format_is_a_miss_and_stays_where_it_is(
    own_valkey: ValkeyServer, namespace: str, tmp_path: Path
) -> None:
    """What a process of the next release has stored is not deleted by one of this release."""
    url = own_valkey.url
    this = Instance(tmp_path, url, namespace)
    following = Instance(tmp_path, url, namespace, command=OTHER_FORMAT.command)
    try:
        await this.wait()
        await following.wait()

        def stored() -> dict[bytes, bytes]:
            names = own_valkey.command("KEYS", f"{namespace}:e:*")
            return {name: own_valkey.command("GET", name) for name in names}

        await following.ask("/v/1?held")
        await until(stored, 5)
        before = stored()
        await this.ask("/set/gate/shut")
        run = asyncio.create_task(this.ask("/v/1?held"))

        async def has_read() -> bool:
            return (await this.stats())["held"] == 1

        await until(has_read, 5)

        assert stored() == before
        await this.ask("/set/gate/open")
        reply = await run
        assert (reply.status, reply.text) == (200, "0")
        assert b"; hit" not in reply.head
    finally:
        this.close()
        following.close()
