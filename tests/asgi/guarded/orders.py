"""Orders of many users, for any number of instances: what they read and change lies in one file.

Run as a server, the directory of that file is `TRACES` of the environment, and the cache is as the
environment says.
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Response
from fastapi.security import OAuth2PasswordBearer

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from tests.coherence.versions import Versions

USERS, ORDERS = 50, 4
_PRICES, _ORDERS = 500, 1_000
bearer = OAuth2PasswordBearer(tokenUrl="login")


class Data:
    """A database, shared by processes.

    The token `t7` belongs to the user who is logged in with it now, the token `s7` to user 7.

    Args:
        file: Where it lies; made if it does not exist.
    """

    def __init__(self, file: Path) -> None:
        self._numbers = Versions(file)

    def user_of(self, token: str) -> int | None:
        """Who is logged in with a token."""
        number = int(token[1:])
        if token[0] == "s":
            return number
        return self._numbers[number] - 1 if self._numbers[number] else None

    def log_in(self, token: str, user: int | None) -> None:
        """Log a user in; None logs out."""
        self._numbers[int(token[1:])] = 0 if user is None else user + 1

    def version(self, user: int, number: int) -> int:
        """How often an order was changed."""
        return self._numbers[_place(user, number)]

    def change(self, user: int, number: int) -> int:
        """Change an order."""
        return self._numbers.raise_by_one(_place(user, number))

    @property
    def prices(self) -> int:
        """How often the prices were changed."""
        return self._numbers[_PRICES]

    def reprice(self) -> int:
        """Change the prices."""
        return self._numbers.raise_by_one(_PRICES)


def _place(user: int, number: int) -> int:
    return _ORDERS + user * ORDERS + number


def application(data: Data, manager: CacheManager) -> FastAPI:
    """One instance."""
    app = FastAPI(title="Orders of many")
    router = APIRouter(prefix="/my")

    async def user(token: Annotated[str, Depends(bearer)], response: Response) -> int:
        if (found := data.user_of(token)) is None:
            raise HTTPException(401, token)
        await asyncio.sleep(0)
        response.headers["X-For"] = token
        return found

    @router.get("/orders/{number}")
    @cached(60, guarded=True, vary_by="{user}", tags=["order:{user}:{number}"])
    async def order(number: int, user: Annotated[int, Depends(user)]) -> dict[str, int]:
        seen = data.version(user, number)
        await asyncio.sleep(0)
        return {"user": user, "number": number, "version": seen}

    @router.put("/orders/{number}")
    @invalidates(tags=["order:{user}:{number}"])
    async def change(number: int, user: Annotated[int, Depends(user)]) -> dict[str, int]:
        version = data.change(user, number)
        await asyncio.sleep(0)
        return {"user": user, "number": number, "version": version}

    @app.get("/prices", dependencies=[Depends(user)])
    @cached(60, guarded=True, tags=["prices"])
    def prices() -> dict[str, int]:
        return {"version": data.prices}

    @app.put("/prices", dependencies=[Depends(user)])
    @invalidates(tags=["prices"])
    async def reprice() -> dict[str, int]:
        return {"version": data.reprice()}

    @app.get("/stats")
    async def stats() -> str:
        return "up"

    app.include_router(router)
    app.add_middleware(CacheMiddleware, cache=manager)
    return app


def served() -> Any:
    """What a server of its own serves."""
    return application(Data(Path(os.environ["TRACES"]) / "data"), CacheManager())
