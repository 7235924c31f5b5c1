"""Random requests of many users over two instances: logins, logouts, revoked tokens and edits.

Each answer is compared with what the data was between the beginning and the end of its request.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Response
from fastapi.security import OAuth2PasswordBearer

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from tests.figures import Figure
from tests.servers import ValkeyServer

USERS, ORDERS, LANES = 50, 4, 16
bearer = OAuth2PasswordBearer(tokenUrl="login")


@dataclass
class Data:
    """What both instances read and change: a database.

    Attributes:
        logins: The user of each token.
        versions: How often each order of each user was changed.
        prices: How often the prices were changed.
    """

    logins: dict[str, int] = field(default_factory=dict)
    versions: dict[tuple[int, int], int] = field(default_factory=dict)
    prices: int = 0


def instance(data: Data, manager: CacheManager) -> httpx.AsyncClient:
    """One instance of the application."""
    app = FastAPI(title="Orders of many")
    router = APIRouter(prefix="/my")

    async def user(token: Annotated[str, Depends(bearer)], response: Response) -> int:
        if (found := data.logins.get(token)) is None:
            raise HTTPException(401, token)
        await asyncio.sleep(0)
        response.headers["X-For"] = token
        return found

    @router.get("/orders/{number}")
    @cached(60, guarded=True, vary_by="{user}", tags=["order:{user}:{number}"])
    async def order(number: int, user: Annotated[int, Depends(user)]) -> dict[str, int]:
        seen = data.versions.get((user, number), 0)
        await asyncio.sleep(0)
        return {"user": user, "number": number, "version": seen}

    @router.put("/orders/{number}")
    @invalidates(tags=["order:{user}:{number}"])
    async def change(number: int, user: Annotated[int, Depends(user)]) -> int:
        data.versions[user, number] = data.versions.get((user, number), 0) + 1
        await asyncio.sleep(0)
        return data.versions[user, number]

    @app.get("/prices", dependencies=[Depends(user)])
    @cached(60, guarded=True, tags=["prices"])
    def prices() -> dict[str, int]:
        return {"version": data.prices}

    @app.put("/prices", dependencies=[Depends(user)])
    @invalidates(tags=["prices"])
    async def reprice() -> int:
        data.prices += 1
        return data.prices

    app.include_router(router)
    app.add_middleware(CacheMiddleware, cache=manager)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://orders")


class Crowd:
    """Many users at once.

    Args:
        data: The database.
        clients: The instances.
        managers: Their caches.
        seed: Of the random choices.
    """

    def __init__(
        self,
        data: Data,
        clients: list[httpx.AsyncClient],
        managers: list[CacheManager],
        seed: int,
    ) -> None:
        self.data, self.clients, self.managers = data, clients, managers
        self.random = random.Random(seed)
        self.changing = asyncio.Lock()
        self.wrong: list[str] = []
        self.hits = 0

    async def ask(self) -> None:
        """One random request, and the check of its answer."""
        choice, token = self.random.random(), f"t{self.random.randrange(USERS)}"
        if choice < 0.04:
            self.data.logins.pop(token, None)
        elif choice < 0.12:
            self.data.logins[token] = self.random.randrange(USERS)
        elif choice < 0.16:
            await self._change(token)
        elif choice < 0.3:
            await self._look(token, "/prices", lambda user: {"version": self.data.prices})
        else:
            number = self.random.randrange(ORDERS)
            await self._look(
                token,
                f"/my/orders/{number}",
                lambda user: {
                    "user": user,
                    "number": number,
                    "version": self.data.versions.get((user, number), 0),
                },
            )

    async def _change(self, token: str) -> None:
        """A change on one instance; it is over when both have it."""
        path = self.random.choice(["/prices", f"/my/orders/{self.random.randrange(ORDERS)}"])
        async with self.changing:
            headers = {"authorization": f"Bearer {token}"}
            await self.random.choice(self.clients).put(path, headers=headers)
            first, second = (manager.engine for manager in self.managers)
            assert await second.log.reached(first.index.born(), 5)
            assert await first.log.reached(second.index.born(), 5)

    async def _look(self, token: str, path: str, expected: Any) -> None:
        changing, before = self.changing.locked(), self.data.logins.get(token)
        known = None if before is None else expected(before)
        others = {"if-none-match": '"other"'} if self.random.random() < 0.1 else {}
        headers = {"authorization": f"Bearer {token}", **others}
        answer = await self.random.choice(self.clients).get(path, headers=headers)
        after = self.data.logins.get(token)
        if before != after or changing or known is None:
            if before is after is None and answer.status_code != 401:
                self.wrong.append(f"{path}: {answer.status_code} without a login")
            return
        if known != expected(before):
            return
        self.hits += "hit" in answer.headers["cache-status"]
        if answer.status_code != 200 or answer.json() != known:
            self.wrong.append(f"{path}: {answer.text}, expected {known}")
        if path != "/prices" and answer.headers["x-for"] != token:
            self.wrong.append(f"{path}: the field of {answer.headers['x-for']}")


async def run(valkey: ValkeyServer, namespace: str, requests: int, seed: int) -> Crowd:
    """So many random requests, in lanes."""
    managers = [CacheManager(redis_url=valkey.url, namespace=namespace) for _ in range(2)]
    data = Data({f"t{number}": number for number in range(USERS)})
    clients = [instance(data, manager) for manager in managers]
    for manager in managers:
        await manager.start()
    crowd = Crowd(data, clients, managers, seed)

    async def lane() -> None:
        for _ in range(requests // LANES):
            await crowd.ask()

    try:
        await asyncio.gather(*(lane() for _ in range(LANES)))
    finally:
        for manager in managers:
            await manager.close()
    return crowd


async def test_no_answer_is_of_another_user_or_old(valkey: ValkeyServer, namespace: str) -> None:
    """A short run."""
    crowd = await run(valkey, namespace, 1_600, seed=1)

    assert crowd.wrong == []
    assert crowd.hits > 20


@pytest.mark.soak
async def test_a_hundred_thousand_requests(
    valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """The same, long."""
    crowd = await run(valkey, namespace, 100_000, seed=2)

    figure("guarded routes, wrong answers in 100,000 requests", len(crowd.wrong), 0)
    assert crowd.wrong == []
