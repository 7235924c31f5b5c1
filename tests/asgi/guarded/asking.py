"""A client of small applications whose users present tokens with scopes."""

from typing import Annotated, Any, Self

import httpx
from fastapi import Depends, HTTPException
from fastapi.security import OAuth2PasswordBearer, SecurityScopes

from asgi_multitier import CacheManager, CacheMiddleware

oauth = OAuth2PasswordBearer(tokenUrl="t", scopes={"read": "reads", "write": "writes"})
GRANTED = {"one": {"read"}, "two": {"read", "write"}}


def user(scopes: SecurityScopes, token: Annotated[str, Depends(oauth)]) -> str:
    """Who asks, with all scopes that the route wants; 401 or 403."""
    if token not in GRANTED:
        raise HTTPException(401)
    if not GRANTED[token].issuperset(scopes.scopes):
        raise HTTPException(403)
    return token


def memory(**settings: Any) -> CacheManager:
    """A cache of one test."""
    return CacheManager(**{"redis_url": None, "namespace": "ways", **settings})


class Asking:
    """A client of an application behind a cache.

    Args:
        app: The application; the cache is put around it here.
        **settings: Of the cache.
    """

    def __init__(self, app: Any, **settings: Any) -> None:
        self.manager = memory(**settings)
        self.app = CacheMiddleware(app, self.manager)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://ways")

    async def __aenter__(self) -> Self:
        await self.manager.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()
        await self.manager.close()

    async def __call__(
        self, path: str, token: str | None = "one", method: str = "GET", **fields: str
    ) -> httpx.Response:
        """One request of a user."""
        if token is not None:
            fields["authorization"] = f"Bearer {token}"
        return await self._client.request(method, path, headers=fields)
