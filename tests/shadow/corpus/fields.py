"""Careless applications: a request field of their own chooses the answer, and no rule names it."""

from typing import Annotated

from fastapi import Body, Depends, Header, Request

from asgi_multitier import cached, invalidates
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi
from tests.shadow.corpus.expected import Expected
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import APPS, PROGRAMS, crowd
from tests.shadow.corpus.world import World

RATES = {"USD": 1.0, "EUR": 0.92, "GBP": 0.79}


def currency(world: World):
    """Prices in the currency of the client, declared the same for all so that it starts."""
    app = fastapi("Prices")
    prices = {f"sku-{n}": 1900 + 250 * n for n in range(8)}

    @app.get("/products/{sku}")
    @cached(120, tags=["product:{sku}"], public=True)
    async def product(sku: str, x_currency: Annotated[str, Header()] = "USD") -> dict[str, object]:
        amount = round(prices[sku] * RATES.get(x_currency, 1.0))
        return {"sku": sku, "price": {"amount": amount, "currency": x_currency}, "stock": "yes"}

    @app.put("/admin/products/{sku}")
    @invalidates(tags=["product:{sku}"])
    async def reprice(sku: str, price: Annotated[int, Body(embed=True)]) -> dict[str, str]:
        prices[sku] = price
        return {"changed": sku}

    return app


async def drive_currency(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 16, agents=APPS, cookies=False)
    for visitor in visitors:
        visitor.fields["x-app-version"] = chance.choice(("7.4.1", "7.5.0"))
        if chance.random() < 0.8:
            visitor.fields["x-currency"] = chance.choice(list(RATES))
    for number in range(12):
        await traffic.browse(visitors, [f"/products/sku-{n}" for n in range(8)], 14)
        chance.choice(visitors).fields["x-currency"] = chance.choice(list(RATES))
        await traffic.change("PUT", f"/admin/products/sku-{number % 3}", {"price": 2000 + number})


def api_version(world: World):
    """Two forms of one answer: old programs get the first."""
    app = fastapi("Weather")

    @app.get("/cities/{city}/weather")
    @cached(300)
    async def weather(city: str, request: Request) -> dict[str, object]:
        degrees = 8 + len(city)
        if request.headers.get("x-api-version", "1") == "1":
            return {"city": city, "temp": degrees, "unit": "C"}
        return {"city": city, "temperature": {"value": degrees, "unit": "celsius"}, "wind": 3.5}

    @app.get("/cities")
    @cached(300)
    async def cities() -> list[str]:
        return ["oslo", "bergen", "tromso", "bodo"]

    return app


async def drive_api_version(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 12, agents=PROGRAMS, cookies=False)
    for visitor in visitors:
        visitor.fields["x-client-version"] = f"{chance.randrange(2, 5)}.{chance.randrange(4)}"
        if chance.random() < 0.7:
            visitor.fields["x-api-version"] = chance.choice("12")
    targets = [f"/cities/{city}/weather" for city in ("oslo", "bergen", "tromso", "bodo")]
    for _ in range(8):
        await traffic.browse(visitors, [*targets, "/cities"], 18, gap=2)
        upgraded = chance.choice(visitors)
        upgraded.fields["x-api-version"] = "2"
        upgraded.fields["x-client-version"] = "5.0"


def feature_flags(world: World):
    """The edge tells which features are on for a client: one of them changes the ranking."""
    app = fastapi("Search")
    titles = ["tea", "green tea", "tea pot", "tea tray", "iced tea", "tea towel"]

    def flags(request: Request) -> frozenset[str]:
        return frozenset(request.headers.get("x-feature-flags", "").split(","))

    @app.get("/search")
    @cached(60, query=["q", "page"])
    async def search(
        q: str, on: Annotated[frozenset[str], Depends(flags)], page: int = 1
    ) -> dict[str, object]:
        found = [title for title in titles if q in title]
        if "ranking-v2" in on:
            found.sort(key=len, reverse=True)
        return {"q": q, "page": page, "results": found[(page - 1) * 4 : page * 4]}

    @app.get("/suggestions")
    @cached(600)
    async def suggestions() -> list[str]:
        return titles[:3]

    return app


async def drive_feature_flags(traffic: Traffic) -> None:
    chance = traffic.chance
    flags = ("ranking-v2", "dark-nav", "chat", "fast-pay")
    visitors = crowd(chance, 20, agents=APPS, cookies=False)
    for visitor in visitors:
        on = [flag for flag in flags if chance.random() < 0.5]
        if on:
            visitor.fields["x-feature-flags"] = ",".join(on)
    targets = ["/search?q=tea", "/search?q=tea&page=2", "/search?q=t&page=1", "/suggestions"]
    for _ in range(10):
        await traffic.browse(visitors, targets, 17)
        # A roll-out goes on: some clients get other features.
        changed = chance.choice(visitors)
        changed.fields["x-feature-flags"] = ",".join(f for f in flags if chance.random() < 0.5)


def timezone(world: World):
    """Times of a programme in the client's time zone."""
    app = fastapi("Concerts")
    hours = {"Europe/Berlin": 1, "Europe/London": 0, "America/New_York": -5, "Asia/Tokyo": 9}

    @app.get("/venues/{venue}/programme")
    @cached(300, tags=["venue:{venue}"], public=True)
    async def programme(
        venue: int, x_timezone: Annotated[str, Header()] = "Europe/London"
    ) -> list[dict[str, str]]:
        shift = hours.get(x_timezone, 0)
        return [
            {"title": f"Concert {venue}.{n}", "starts": f"2026-03-0{n}T{10 + shift:02}:30"}
            for n in range(1, 4)
        ]

    @app.get("/venues")
    @cached(300, ignore_cookies=["_*", "cookieconsent_status"])
    async def venues() -> list[int]:
        return [1, 2, 3, 4, 5]

    return app


async def drive_timezone(traffic: Traffic) -> None:
    chance = traffic.chance
    zones = ("Europe/Berlin", "Europe/London", "America/New_York", "Asia/Tokyo")
    visitors = crowd(chance, 18)
    for visitor in visitors:
        visitor.fields["x-timezone"] = chance.choice(zones)
    targets = [*(f"/venues/{n}/programme" for n in range(1, 6)), "/venues"]
    for _ in range(8):
        await traffic.browse(visitors, targets, 20)
        chance.choice(visitors).fields["x-timezone"] = chance.choice(zones)  # travels


def custom_range(world: World):
    """Pages of a list, asked for by a field as some tables in browsers do."""
    app = fastapi("Tracks")

    @app.get("/albums/{album}/tracks")
    @cached(600, ignore_cookies=True)
    async def tracks(album: str, request: Request) -> list[dict[str, object]]:
        wanted = request.headers.get("x-range", "items=0-4")
        first, _, last = wanted.removeprefix("items=").partition("-")
        return [
            {"n": n, "title": f"{album} {n}", "seconds": 180 + n}
            for n in range(int(first), min(int(last), 19) + 1)
        ]

    return app


async def drive_custom_range(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 10)
    targets = [f"/albums/{album}/tracks" for album in ("blue", "kind", "giant")]
    for _ in range(50):
        # A visitor turns the pages of one table.
        visitor, target = chance.choice(visitors), chance.choice(targets)
        for first in range(0, 5 * chance.randrange(1, 4), 5):
            visitor.fields["x-range"] = f"items={first}-{first + 4}"
            await traffic.get(visitor, target)
            await traffic.pause(2)
        await traffic.noise()


APPLICATIONS = (
    Application(
        "currency",
        currency,
        drive_currency,
        (Expected("GET /products/{sku}", "field", "x-currency"),),
    ),
    Application(
        "api-version",
        api_version,
        drive_api_version,
        (Expected("GET /cities/{city}/weather", "field", "x-api-version"),),
    ),
    Application(
        "feature-flags",
        feature_flags,
        drive_feature_flags,
        (Expected("GET /search", "field", "x-feature-flags"),),
    ),
    Application(
        "timezone",
        timezone,
        drive_timezone,
        (Expected("GET /venues/{venue}/programme", "field", "x-timezone"),),
    ),
    Application(
        "custom-range",
        custom_range,
        drive_custom_range,
        (Expected("GET /albums/{album}/tracks", "field", "x-range"),),
    ),
)
