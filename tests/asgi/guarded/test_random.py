"""Random requests of many users over two instances: logins, logouts, revoked tokens and edits.

Each answer is compared with what the data was between the beginning and the end of its request.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from asgi_multitier import CacheManager
from tests.asgi.guarded.orders import ORDERS, USERS, Data, application
from tests.asgi.processes import Worker
from tests.figures import Figure
from tests.patience import until
from tests.servers import ValkeyServer

LANES = 16


class Crowd:
    """Many users at once.

    Args:
        data: The database.
        clients: The instances.
        seed: Of the random choices.

    Attributes:
        wrong: Answers that should not have been.
        hits: Right answers without a run of the endpoint.
    """

    def __init__(self, data: Data, clients: list[httpx.AsyncClient], seed: int) -> None:
        self.wrong: list[str] = []
        self.hits = 0
        self._data, self._clients = data, clients
        self._random = random.Random(seed)
        self._changing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._logins: Counter[str] = Counter()
        self._editing: Counter[str] = Counter()
        for number in range(USERS):
            data.log_in(f"t{number}", number)

    async def ask(self, requests: int) -> None:
        """So many random requests, in lanes."""

        async def lane() -> None:
            for _ in range(requests // LANES):
                await self._ask()

        await asyncio.gather(*(lane() for _ in range(LANES)))

    async def _ask(self) -> None:
        choice, token = self._random.random(), f"t{self._random.randrange(USERS)}"
        path = f"/my/orders/{self._random.randrange(ORDERS)}"
        if choice < 0.04:
            self._log_in(token, None)
        elif choice < 0.12:
            self._log_in(token, self._random.randrange(USERS))
        elif choice < 0.16:
            await self._change(token, self._random.choice(["/prices", path]))
        else:
            await self._look(token, "/prices" if choice < 0.3 else path)

    def _log_in(self, token: str, user: int | None) -> None:
        # Who makes a change is known before it is made.
        if not self._editing[token]:
            self._data.log_in(token, user)
            self._logins[token] += 1

    def _expected(self, path: str, user: int) -> dict[str, int]:
        if path == "/prices":
            return {"version": self._data.prices}
        number = int(path.rpartition("/")[2])
        return {"user": user, "number": number, "version": self._data.version(user, number)}

    async def _change(self, token: str, path: str) -> None:
        """A change on one instance; it is over when all have it."""
        self._editing[token] += 1
        user = self._data.user_of(token)
        async with self._changing[_what(path, user)]:
            changed = await self._random.choice(self._clients).put(path, headers=_of(token))
            self._editing[token] -= 1
            if user is None:
                assert changed.status_code == 401
                return
            for client in self._clients:

                async def has_it(client: httpx.AsyncClient = client) -> bool:
                    answer = await client.get(path, headers=_of(f"s{user}"))
                    return answer.json() == changed.json()

                await until(has_it, 5)

    async def _look(self, token: str, path: str) -> None:
        logins, user = self._logins[token], self._data.user_of(token)
        changing = self._changing[_what(path, user)].locked()
        known = None if user is None else self._expected(path, user)
        others = {"if-none-match": '"other"'} if self._random.random() < 0.1 else {}
        client = self._random.choice(self._clients)
        answer = await client.get(path, headers={**_of(token), **others})
        if logins != self._logins[token]:
            return
        if user is None:
            if answer.status_code != 401 or answer.json() != {"detail": token}:
                self.wrong.append(f"{path}: {answer.status_code} {answer.text} without a login")
            return
        if changing or known != self._expected(path, user):
            return
        self.hits += "hit" in answer.headers["cache-status"]
        if answer.status_code != 200 or answer.json() != known:
            self.wrong.append(f"{path}: {answer.text}, expected {known}")
        if path != "/prices" and answer.headers["x-for"] != token:
            self.wrong.append(f"{path}: the field of {answer.headers['x-for']}")


def _what(path: str, user: int | None) -> str:
    """What is asked for, or changed, by one of its names."""
    return path if path == "/prices" else f"{path} of {user}"


def _of(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@asynccontextmanager
async def in_process(
    place: Path, url: str, namespace: str
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two instances here."""
    async with AsyncExitStack() as open_ones:
        clients = []
        for _ in range(2):
            manager = await open_ones.enter_async_context(
                CacheManager(redis_url=url, namespace=namespace)
            )
            transport = httpx.ASGITransport(application(Data(place / "data"), manager))
            clients.append(httpx.AsyncClient(transport=transport, base_url="http://orders"))
        yield clients


@asynccontextmanager
async def processes(
    place: Path, url: str, namespace: str
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two server processes."""
    app = "guarded.orders:served"
    workers = [Worker(place, url, namespace, app, "--factory") for _ in range(2)]
    try:
        async with AsyncExitStack() as open_ones:
            yield [
                await open_ones.enter_async_context(
                    httpx.AsyncClient(
                        base_url=worker.wait().client.base_url,
                        headers={"host": "orders"},
                        timeout=120,
                    )
                )
                for worker in workers
            ]
    finally:
        for worker in workers:
            worker.stop()


Instances = Callable[[Path, str, str], AbstractAsyncContextManager[list[httpx.AsyncClient]]]


@pytest.mark.no_cover  # it repeats what others cover
@pytest.mark.parametrize(("instances", "requests"), [(in_process, 1_600), (processes, 800)])
async def test_no_answer_is_of_another_user_or_old(
    valkey: ValkeyServer, namespace: str, tmp_path: Path, instances: Instances, requests: int
) -> None:
    """A short run."""
    async with instances(tmp_path, valkey.url, namespace) as clients:
        crowd = Crowd(Data(tmp_path / "data"), clients, seed=1)
        await crowd.ask(requests)

    assert crowd.wrong == []
    assert crowd.hits > requests / 8


@pytest.mark.soak
@pytest.mark.parametrize("instances", [in_process, processes])
async def test_a_hundred_thousand_requests(
    valkey: ValkeyServer, namespace: str, tmp_path: Path, figure: Figure, instances: Instances
) -> None:
    """The same, long."""
    async with instances(tmp_path, valkey.url, namespace) as clients:
        crowd = Crowd(Data(tmp_path / "data"), clients, seed=2)
        await crowd.ask(100_000)

    where = instances.__name__.replace("_", " ")
    hits = f"{len(crowd.wrong)} ({crowd.hits:,} hits)"
    figure(f"guarded routes, two instances, {where}, wrong of 100,000 requests", hits, 0)
    assert crowd.wrong == []
