"""An application whose users log in, for tests of guarded routes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPBearer, SecurityScopes
from pydantic import BaseModel

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from asgi_multitier.testing import FakeClock

bearer = HTTPBearer()


class User(BaseModel):
    """Who is logged in."""

    id: int
    name: str


class Order(BaseModel):
    """An order."""

    number: int
    owner: str
    price: int
    note: str | None = None


class Office:
    """Users, their orders, and what ran.

    Args:
        **settings: Of the manager.
    """

    def __init__(self, **settings: Any) -> None:
        self.tokens = {f"t{number}": User(id=number, name=f"u{number}") for number in range(9)}
        self.price = 1
        self.runs: list[str] = []
        self.guards = 0
        self.background: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Semaphore(0)
        self.fails: Exception | None = None
        self.commit_fails = False
        self.clock = FakeClock()
        self.manager = CacheManager(**{"redis_url": None, "clock": self.clock, **settings})
        self.app = FastAPI(title="Office")
        self._routes(self.app)
        self.app.add_middleware(CacheMiddleware, cache=self.manager)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://office",
        )

    def user(self, credentials: Annotated[Any, Depends(bearer)], response: Response) -> User:
        """The guard: one of the users, or 401. It says in a field and a cookie who asks."""
        self.guards += 1
        found = self.tokens.get(credentials.credentials)
        if found is None:
            raise HTTPException(401, f"{credentials.credentials} is unknown")
        response.headers["X-Limit-Left"] = str(self.guards)
        response.set_cookie("last-seen", found.name)
        return found

    def name(self, credentials: Annotated[Any, Depends(bearer)]) -> str:
        """The name of the user."""
        return self.tokens[credentials.credentials].name

    async def session(self) -> AsyncIterator[str]:
        """A connection that commits at the end, which may fail."""
        try:
            yield "connection"
        except Exception:
            self.runs.append("rollback")
            raise
        if self.commit_fails:
            raise HTTPException(503, "commit failed")
        self.runs.append("commit")

    async def ran(self, what: str) -> None:
        """An endpoint runs."""
        self.runs.append(what)
        self.arrived.release()
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails

    def _routes(self, app: FastAPI) -> None:
        office, user = self, self.user

        @app.get("/orders/{number}", response_model=Order, response_model_exclude_none=True)
        @cached(60, guarded=True, vary_by="{user.id}", tags=["order:{number}", "of:{user.id}"])
        async def order(number: int, user: Annotated[User, Depends(user)]) -> Order:
            await office.ran(f"order {number} of {user.name}")
            return Order(number=number, owner=user.name, price=office.price)

        @app.get("/prices", dependencies=[Depends(user)])
        @cached(60, guarded=True, stale_if_error=60)
        async def prices(page: int = 1) -> dict[str, int]:
            await office.ran("prices")
            return {"page": page, "price": office.price}

        @app.get("/renewed", dependencies=[Depends(user)])
        @cached(60, guarded=True, stale_while_revalidate=60)
        async def renewed() -> dict[str, int]:
            await office.ran("renewed")
            return {"price": office.price}

        @app.get("/shared")
        @cached(60, guarded="shared")
        def shared(user: Annotated[User, Depends(user)]) -> dict[str, int]:
            office.runs.append("shared")
            return {"price": office.price}

        @app.get("/named")
        @cached(60, guarded=True, vary_by="{name}", tags=["by:{name}"])
        async def named(name: Annotated[str, Depends(self.name)]) -> dict[str, int]:
            await office.ran(f"named {name}")
            return {"price": office.price}

        @app.get("/ready", dependencies=[Depends(user)])
        @cached(60, guarded=True, stale_if_error=60)
        async def ready(tasks: BackgroundTasks) -> Response:
            await office.ran("ready")
            tasks.add_task(office.background.append, "done")
            return Response(b"ready", media_type="text/plain", headers={"X-Own": "1"})

        @app.get("/committed", dependencies=[Depends(user)])
        @cached(60, guarded=True)
        async def committed(session: Annotated[str, Depends(office.session)]) -> dict[str, int]:
            await office.ran("committed")
            return {"price": office.price}

        @app.get("/peeks", dependencies=[Depends(user)])
        @cached(60, guarded=True)
        async def peeks(request: Request, what: str = "path") -> dict[str, str]:
            await office.ran("peeks")
            found = {
                "path": lambda: request.url.path,
                "agent": lambda: request.headers["user-agent"],
                "token": lambda: request.headers["authorization"],
                "cookie": lambda: str(request.cookies),
                "all": lambda: str(dict(request.headers)),
                "state": lambda: str(getattr(request.state, "tenant", "none")),
                "copy": lambda: str(request.headers.mutablecopy()["authorization"]),
                "shown": lambda: repr(request.headers),
                "scope": lambda: str(request.scope["headers"]),
            }
            return {"seen": found[what]()}

        @app.put("/orders/{number}")
        @invalidates(tags=["order:{number}"])
        async def change(number: int) -> None:
            office.price += 1

        @app.get("/scoped")
        @cached(60, guarded="shared")
        async def scoped(scopes: SecurityScopes, _: Annotated[User, Depends(user)]) -> list[str]:
            return scopes.scopes

    async def get(self, path: str, token: str | None = "t1", **fields: str) -> httpx.Response:
        """One request of a user."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return await self.client.get(path, headers=headers)


def status(response: httpx.Response) -> str:
    """What the cache says, without its name and numbers."""
    words = response.headers["cache-status"].split("; ")[1:]
    return " ".join(word for word in words if not word.startswith("ttl="))
