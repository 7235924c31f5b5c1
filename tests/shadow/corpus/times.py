"""Careless applications: data changes at another time than the cache is told."""

from typing import Annotated

from fastapi import Body
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asgi_multitier import Rule, cached, invalidates
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi, healthz
from tests.shadow.corpus.expected import Expected
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import crowd
from tests.shadow.corpus.world import World

Text = Annotated[str, Body(embed=True)]


def write_behind(world: World):
    """A change is accepted and put into a queue; a writer commits it a little later."""
    app = fastapi("Profiles")
    cities = dict.fromkeys(range(1, 6), "Oslo")

    @app.get("/profiles/{number}")
    @cached(300, tags=["profile:{number}"], ignore_cookies=True)
    async def profile(number: int) -> dict[str, object]:
        return {"number": number, "city": cities[number]}

    @app.put("/profiles/{number}", status_code=202)
    @invalidates(tags=["profile:{number}"])
    async def move(number: int, city: Text) -> dict[str, str]:
        world.later(1.5, lambda: cities.update({number: city}))
        return {"state": "accepted"}

    return app


async def drive_write_behind(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 10)
    targets = [f"/profiles/{n}" for n in range(1, 6)]
    for number in range(11):
        visitor, target = chance.choice(visitors), targets[number % 4]
        await traffic.change("PUT", target, {"city": f"Town {number}"}, visitor)
        # The page that has saved shows what it has saved.
        await traffic.wait(0.2)
        await traffic.get(visitor, target)
        await traffic.browse(visitors, targets, 14)


def replica(world: World):
    """Reads go to a replica that lags behind by two seconds."""
    primary = dict.fromkeys(("alpha", "beta", "gamma"), 1)
    copy = dict(primary)

    @cached(600, tags=["release:{name}"])
    async def release(request: Request) -> Response:
        name = request.path_params["name"]
        return JSONResponse({"name": name, "version": copy[name]})

    @invalidates(tags=["release:{name}"])
    async def publish(request: Request) -> Response:
        name = request.path_params["name"]
        primary[name] += 1
        row = {name: primary[name]}
        world.later(2.0, lambda: copy.update(row))
        return JSONResponse(row, status_code=201)

    return Starlette(
        routes=[
            Route("/releases/{name}", release),
            Route("/projects/{name}/publish", publish, methods=["POST"]),
            Route("/healthz", healthz),
        ]
    )


async def drive_replica(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 12, cookies=False)
    targets = [f"/releases/{name}" for name in ("alpha", "beta", "gamma")]
    for number in range(11):
        await traffic.browse(visitors, targets, 14, gap=0.6)
        name = ("alpha", "beta")[number % 2]
        await traffic.change("POST", f"/projects/{name}/publish")


def memo(world: World):
    """The application keeps what it has read for 15 s in a dictionary, which no change empties."""
    app = fastapi("Settings")
    stored = dict.fromkeys(("north", "south"), "red")
    read: dict[str, tuple[float, str]] = {}

    def colour_of(shop: str) -> str:
        at, value = read.get(shop, (-100.0, ""))
        if world.now - at > 15:
            value = stored[shop]
            read[shop] = world.now, value
        return value

    @app.get("/shops/{shop}/settings")
    @cached(300, tags=["settings:{shop}"], ignore_cookies=True)
    async def settings(shop: str) -> dict[str, str]:
        return {"shop": shop, "colour": colour_of(shop)}

    @app.patch("/shops/{shop}/colour")
    @invalidates(tags=["settings:{shop}"])
    async def paint(shop: str, colour: Text) -> dict[str, str]:
        stored[shop] = colour
        return {"colour": colour}

    return app


async def drive_memo(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 10)
    targets = ["/shops/north/settings", "/shops/south/settings"]
    for number in range(8):
        await traffic.browse(visitors, targets, 14, gap=2)
        # A shopkeeper tries colours, and looks at each.
        shop = ("north", "south")[number % 2]
        for colour in ("blue", "teal", f"shade-{number}"):
            await traffic.change("PATCH", f"/shops/{shop}/colour", {"colour": colour})
            await traffic.wait(1.0)
            await traffic.get(visitors[0], f"/shops/{shop}/settings")
            await traffic.wait(2.0)


def consumer(world: World):
    """Stock is counted by a program that reads a queue, and no request tells of it."""
    app = fastapi("Warehouse")
    stock = dict.fromkeys(("cup", "pot", "jar"), 100)

    def consume() -> None:
        stock[world.chance.choice(list(stock))] -= world.chance.randrange(1, 4)
        world.later(world.chance.expovariate(1 / 12), consume)

    world.later(5.0, consume)

    @app.get("/stock/{sku}")
    @cached(300, tags=["stock:{sku}"], ignore_cookies=True)
    async def level(sku: str) -> dict[str, object]:
        return {"sku": sku, "left": stock[sku]}

    @app.post("/reviews", status_code=201)
    async def review(text: Text) -> dict[str, str]:
        return {"text": text}

    return app


async def drive_consumer(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 12)
    for number in range(14):
        await traffic.browse(visitors, [f"/stock/{sku}" for sku in ("cup", "pot", "jar")], 13)
        if number % 3 == 0:
            await traffic.change("POST", "/reviews", {"text": "good"}, chance.choice(visitors))


def exchange(world: World):
    """Rates that are fetched every 20 s, kept for ten minutes."""
    rates = {"EUR": 1.08, "NOK": 0.094, "JPY": 0.0066}

    def fetch() -> None:
        for name in rates:
            rates[name] = round(rates[name] * world.chance.uniform(0.99, 1.01), 6)

    world.every(20.0, fetch)

    async def rate(request: Request) -> Response:
        name = request.path_params["name"]
        return JSONResponse({"of": name, "in": "USD", "rate": rates[name]})

    async def names(request: Request) -> Response:
        return JSONResponse(sorted(rates))

    return Starlette(
        routes=[
            Route("/rates", names),
            Route("/rates/{name}", rate),
            Route("/healthz", healthz),
        ]
    )


async def drive_exchange(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 14, cookies=False)
    targets = ["/rates", *(f"/rates/{name}" for name in ("EUR", "NOK", "JPY"))]
    await traffic.browse(visitors, targets, 260)


APPLICATIONS = (
    Application(
        "write-behind",
        write_behind,
        drive_write_behind,
        (Expected("GET /profiles/{number}", "late-commit", "PUT /profiles/{number}"),),
    ),
    Application(
        "replica",
        replica,
        drive_replica,
        (Expected("GET /releases/{name}", "late-commit", "POST /projects/{name}/publish"),),
    ),
    Application(
        "memo",
        memo,
        drive_memo,
        (Expected("GET /shops/{shop}/settings", "late-commit", "PATCH /shops/{shop}/colour"),),
    ),
    Application(
        "consumer",
        consumer,
        drive_consumer,
        (Expected("GET /stock/{sku}", "lifetime"),),
    ),
    Application(
        "exchange",
        exchange,
        drive_exchange,
        (Expected("GET /rates/{name}", "lifetime", fits=20.0),),
        rules=(Rule("/rates*", 600),),
    ),
)
