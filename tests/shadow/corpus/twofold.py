"""Applications that are careless in two ways at once, in one route."""

from typing import Annotated

from fastapi import Body, Request

from asgi_multitier import cached, invalidates
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi
from tests.shadow.corpus.expected import Expected
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import APPS, crowd
from tests.shadow.corpus.world import World


def currency_and_edit(world: World):
    """Prices in the client's currency, and an edit that drops nothing."""
    app = fastapi("Tickets")
    prices = {number: 20 + number for number in range(1, 5)}

    @app.get("/tickets/{number}")
    @cached(300, tags=["ticket:{number}"])
    async def ticket(number: int, request: Request) -> dict[str, object]:
        currency = request.headers.get("accept-currency", "EUR")
        factor = {"EUR": 1, "SEK": 11, "PLN": 4}.get(currency, 1)
        return {"ticket": number, "price": prices[number] * factor, "currency": currency}

    @app.put("/office/tickets/{number}")
    async def reprice(number: int, price: Annotated[int, Body(embed=True)]) -> dict[str, int]:
        prices[number] = price
        return {"changed": number}

    @app.post("/office/tickets/{number}/notes", status_code=201)
    @invalidates(tags=["ticket:{number}"])
    async def note(number: int) -> dict[str, int]:
        return {"noted": number}

    return app


async def drive_currency_and_edit(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 14, agents=APPS, cookies=False)
    for visitor in visitors:
        if chance.random() < 0.8:
            visitor.fields["accept-currency"] = chance.choice(("EUR", "SEK", "PLN"))
    for number in range(14):
        await traffic.browse(visitors, [f"/tickets/{n}" for n in range(1, 5)], 18)
        chance.choice(visitors).fields["accept-currency"] = chance.choice(("EUR", "SEK", "PLN"))
        price = {"price": 100 + number}
        await traffic.change("PUT", f"/office/tickets/{number % 3 + 1}", price)
        if number % 4 == 3:
            await traffic.change("POST", f"/office/tickets/{number % 4}/notes")


def units_and_worker(world: World):
    """Measurements that change every half minute, in the units that a client asks for."""
    app = fastapi("Stations")
    degrees = dict.fromkeys(("hill", "coast", "city"), 10)

    def measure() -> None:
        for name in degrees:
            degrees[name] += world.chance.choice((-2, -1, 1, 2))

    world.every(30.0, measure)

    @app.get("/stations/{name}/now")
    @cached(600, ignore_cookies=True)
    async def now(name: str, request: Request) -> dict[str, object]:
        value = degrees[name]
        if request.headers.get("x-units") == "imperial":
            return {"station": name, "value": round(value * 1.8 + 32), "unit": "F"}
        return {"station": name, "value": value, "unit": "C"}

    return app


async def drive_units_and_worker(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 14)
    for visitor in visitors:
        if visitor.number % 3:
            visitor.fields["x-units"] = ("", "imperial", "metric")[visitor.number % 3]
    for _ in range(13):
        targets = [f"/stations/{name}/now" for name in ("hill", "coast", "city")]
        await traffic.browse(visitors, targets, 20)
        chance.choice(visitors).fields["x-units"] = chance.choice(("imperial", "metric"))


APPLICATIONS = (
    Application(
        "currency-and-edit",
        currency_and_edit,
        drive_currency_and_edit,
        (
            Expected("GET /tickets/{number}", "field", "accept-currency"),
            Expected("GET /tickets/{number}", "edit", "PUT /office/tickets/{number}"),
        ),
    ),
    Application(
        "units-and-worker",
        units_and_worker,
        drive_units_and_worker,
        (
            Expected("GET /stations/{name}/now", "field", "x-units"),
            Expected("GET /stations/{name}/now", "lifetime"),
        ),
    ),
)
