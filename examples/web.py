"""A FastAPI application: cached responses and cached values in one cache.

Run this file to see its requests, or serve it: uvicorn web:app --app-dir examples
"""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI

from asgi_multitier import CacheMiddleware, CacheStrategy, cached, invalidates
from asgi_multitier.fastapi import CacheDep

app = FastAPI(title="Example")
app.add_middleware(CacheMiddleware)
stock = {1: 5, 2: 7}


@app.get("/products/{id}")
@cached(CacheStrategy.SHORT_TERM, tags=["product:{id}"], ignore_cookies=True)
async def product(id: int, cache: CacheDep) -> dict[str, Any]:  # noqa: A002
    supplier = await cache.get_or_compute("supplier", find_supplier, CacheStrategy.LONG_TERM)
    return {"id": id, "stock": stock[id], "supplier": supplier}


@app.put("/products/{id}")
@invalidates(tags=["product:{id}"])
async def restock(id: int, amount: int) -> dict[str, int]:  # noqa: A002
    stock[id] = amount
    return {"id": id, "stock": amount}


@app.get("/report")
def report(cache: CacheDep) -> int:
    """A sync endpoint: the same cache, without `await`."""
    return cache.sync.get_or_compute("report", lambda: sum(stock.values()), 60)


async def find_supplier() -> str:
    await asyncio.sleep(0.1)
    return "Example Ltd"


async def main() -> None:
    """Send a few requests, as a client would."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://example") as client:
        for _ in range(2):
            answer = await client.get("/products/1")
            print(answer.json(), "|", answer.headers["cache-status"].split(";")[1].strip())
        await client.put("/products/1", params={"amount": 9})
        answer = await client.get("/products/1")
        print(answer.json(), "|", answer.headers["cache-status"].split(";")[1].strip())
        print("report:", (await client.get("/report")).json())


if __name__ == "__main__":
    asyncio.run(main())
