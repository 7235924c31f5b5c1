"""Correct applications, with traffic that tempts to accuse them."""

from itertools import count
from typing import Annotated

from fastapi import Body, Header, Request
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response as Answer
from starlette.responses import StreamingResponse
from starlette.routing import Route

from asgi_multitier import Rule, cached, invalidates
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi, healthz, page
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import APPS, crowd
from tests.shadow.corpus.world import World

ANALYTICS = ["_ga*", "_gid", "_fbp", "_hj*", "cookieconsent_status"]


def analytics(world: World):
    """The same pages for all, while cookies change with each visit and pages with edits."""
    texts = {slug: f"Text of {slug}." for slug in ("about", "help", "jobs", "press")}

    @cached(300, ignore_cookies=ANALYTICS)
    async def shown(request: Asked) -> Answer:
        slug = request.path_params["slug"]
        return page(slug, texts[slug]) if slug in texts else Answer(status_code=404)

    async def write(request: Asked) -> Answer:
        texts[request.path_params["slug"]] = (await request.json())["text"]
        return Answer(status_code=204)

    async def beacon(request: Asked) -> Answer:
        return Answer(status_code=204)

    return Starlette(
        routes=[
            Route("/pages/{slug}", shown),
            Route("/pages/{slug}", write, methods=["PUT"]),
            Route("/beacon", beacon, methods=["POST"]),
            Route("/healthz", healthz),
        ]
    )


async def drive_analytics(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 30, pages=True)
    targets = [f"/pages/{slug}" for slug in ("about", "help", "jobs", "press", "gone")]
    for number in range(8):
        for _ in range(4):
            await traffic.browse(visitors, targets, 5)
            await traffic.change("POST", "/beacon", {"e": "view"}, chance.choice(visitors))
        await traffic.change("PUT", "/pages/help", {"text": f"Call {number}."})


def declared(world: World):
    """Language, currency, theme and page count, and the rule names all of them."""
    app = fastapi("Shelves")
    prices = {n: 10 * n for n in range(1, 4)}

    @app.get("/shelves/{shelf}")
    @cached(
        200,
        vary=["accept-language", "x-currency"],
        cookies=["theme"],
        query=["page"],
        tags=["shelf:{shelf}"],
    )
    async def listed(
        shelf: int,
        request: Request,
        accept_language: Annotated[str, Header()] = "en",
        x_currency: Annotated[str, Header()] = "USD",
        page: int = 1,
    ) -> dict[str, object]:
        return {
            "shelf": shelf,
            "page": page,
            "language": accept_language.partition(",")[0],
            "price": [prices[shelf], x_currency],
            "icon": f"{request.cookies.get('theme', 'light')}.svg",
        }

    @app.put("/admin/shelves/{shelf}")
    @invalidates(tags=["shelf:{shelf}"])
    async def reprice(shelf: int, price: Annotated[int, Body(embed=True)]) -> dict[str, int]:
        prices[shelf] = price
        return {"changed": shelf}

    return app


async def drive_declared(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 12)
    for visitor in visitors:
        visitor.fields["x-currency"] = chance.choice(("USD", "EUR"))
        if visitor.number % 2:
            visitor.cookies["theme"] = chance.choice(("dark", "light"))
    targets = [f"/shelves/{n}?utm_source={s}" for n in (1, 2, 3) for s in ("mail", "ad")]
    targets += ["/shelves/1?page=2", "/shelves/1"]
    for number in range(10):
        await traffic.browse(visitors, targets, 20, gap=0.4)
        chance.choice(visitors).fields["x-currency"] = chance.choice(("USD", "EUR"))
        await traffic.change("PUT", f"/admin/shelves/{number % 3 + 1}", {"price": 50 + number})


def tenants(world: World):
    """Tenants of very unequal size; each edits its own."""
    app = fastapi("Tickets")
    tickets: dict[str, list[str]] = {}

    @app.get("/tickets")
    @cached(60, vary_by=lambda request: request.headers.get("x-tenant-id"), tags=["tickets"])
    async def listed(x_tenant_id: Annotated[str, Header()] = "") -> dict[str, object]:
        return {"tenant": x_tenant_id, "tickets": tickets.get(x_tenant_id, [])[-5:]}

    @app.post("/tickets", status_code=201)
    @invalidates(tags=["tickets"])
    async def opened(
        text: Annotated[str, Body(embed=True)], x_tenant_id: Annotated[str, Header()]
    ) -> dict[str, str]:
        tickets.setdefault(x_tenant_id, []).append(text)
        return {"text": text}

    return app


async def drive_tenants(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 16)
    for visitor in visitors:
        visitor.fields["x-tenant-id"] = f"tenant-{visitor.number // 2}"
    visitors[15].fields.pop("x-tenant-id")
    weights = [1 / (1 + n) ** 1.3 for n in range(16)]
    for number in range(16):
        await traffic.browse(visitors, ["/tickets", "/tickets?page=1"], 10, weights=weights)
        (writer,) = chance.choices(visitors[:15], weights[:15])
        await traffic.change("POST", "/tickets", {"text": f"help {number}"}, writer)


def personal(world: World):
    """Personal answers on cached routes: who shows a token or a session is not answered by it."""
    app = fastapi("Feed")
    points = dict.fromkeys(("ann", "bob", "cid"), 10)

    @app.get("/feed")
    @cached(60)
    async def feed(request: Request) -> dict[str, object]:
        name = request.headers.get("authorization", "").removeprefix("Bearer ")
        return {"for": name or "all", "points": points.get(name, 0), "news": ["one", "two"]}

    @app.get("/greeting")
    @cached(60, ignore_cookies=ANALYTICS)
    async def greeting(request: Request) -> dict[str, str]:
        return {"hello": request.cookies.get("sid", "stranger")}

    @app.post("/points")
    async def collect(request: Request) -> dict[str, int]:
        name = request.headers.get("authorization", "").removeprefix("Bearer ")
        points[name] += 1
        return {"points": points[name]}

    return app


async def drive_personal(traffic: Traffic) -> None:
    chance = traffic.chance
    programs = crowd(chance, 8, agents=APPS, cookies=False)
    browsers = crowd(chance, 10)
    for program in programs[:5]:
        name = ("ann", "bob", "cid")[program.number % 3]
        program.fields["authorization"] = f"Bearer {name}"
    for browser in browsers[:4]:
        browser.cookies["sid"] = f"s-{browser.number}"
    for _ in range(10):
        await traffic.browse(programs, ["/feed", "/greeting"], 9)
        await traffic.browse(browsers, ["/greeting"], 9)
        await traffic.change("POST", "/points", None, chance.choice(programs[:5]))


def streams(world: World):
    """A stream of events, a file in parts that never changes, and one too large to be kept."""

    numbers = count()

    async def ticks():
        for _ in range(3):
            yield f"data: {next(numbers)}\n\n".encode()

    async def rows():
        yield b"name,count\n"
        for number in range(40):
            yield f"row {number},{number * number}\n".encode()

    async def archive():
        for _ in range(20):
            yield bytes(64 * 1024)
        yield f"copy {next(numbers)}".encode()

    def sending(parts, media_type):
        async def endpoint(request: Asked) -> Answer:
            return StreamingResponse(parts(), media_type=media_type)

        return endpoint

    return Starlette(
        routes=[
            Route("/ticks", sending(ticks, "text/event-stream")),
            Route("/export.csv", sending(rows, "text/csv")),
            Route("/archive", sending(archive, "application/octet-stream")),
            Route("/healthz", healthz),
        ]
    )


async def drive_streams(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 10)
    for _ in range(8):
        await traffic.browse(visitors, ["/ticks", "/export.csv"], 14)
        await traffic.get(traffic.chance.choice(visitors), "/archive")


def validators(world: World):
    """Answers with validators: clients show them, ask for heads, and for parts."""
    texts = {name: f"{name} " * 200 for name in ("one", "two")}
    versions = dict.fromkeys(texts, 1)

    @cached(300, tags=["text:{name}"], ignore_cookies=True)
    async def text(request: Asked) -> Answer:
        name = request.path_params["name"]
        tag = f'"{name}-{versions[name]}"'
        if request.headers.get("if-none-match") == tag:
            return Answer(status_code=304, headers={"etag": tag})
        return Answer(texts[name], media_type="text/plain", headers={"etag": tag})

    async def write(request: Asked) -> Answer:
        name = request.path_params["name"]
        versions[name] += 1
        texts[name] = f"{name} {versions[name]} " * 180
        return Answer(status_code=204)

    return Starlette(
        routes=[
            Route("/texts/{name}", text),
            Route("/texts/{name}", write, methods=["PUT"]),
            Route("/healthz", healthz),
        ]
    )


async def drive_validators(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 8)
    for number in range(10):
        await traffic.browse(visitors, ["/texts/one", "/texts/two"], 14, again=0.6)
        name = ("one", "two")[number % 2]
        await traffic.get(chance.choice(visitors), f"/texts/{name}", method="HEAD")
        await traffic.change("PUT", f"/texts/{name}")
        await traffic.get(chance.choice(visitors), f"/texts/{name}", method="HEAD")


APPLICATIONS = (
    Application("analytics", analytics, drive_analytics),
    Application("declared", declared, drive_declared),
    Application("tenants", tenants, drive_tenants),
    Application("personal", personal, drive_personal),
    Application("streams", streams, drive_streams, rules=(Rule("*", 60, ignore_cookies=True),)),
    Application("validators", validators, drive_validators),
)
