"""Careless applications: an answer is never the same twice."""

from itertools import count
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asgi_multitier import Rule, cached, invalidates
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi, healthz, page
from tests.shadow.corpus.expected import Expected
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import AGENTS, APPS, crowd
from tests.shadow.corpus.world import World


def generated_at(world: World):
    """When the answer was made is a part of it."""
    app = fastapi("Departures")

    @app.get("/stops/{stop}/departures")
    @cached(30, ignore_cookies=True)
    async def departures(stop: str) -> dict[str, object]:
        lines = [{"line": n, "to": f"{stop} {n}", "platform": n % 3} for n in range(1, 4)]
        return {"stop": stop, "generated_at": world.utc.isoformat(), "departures": lines}

    @app.get("/stops")
    @cached(600, ignore_cookies=True)
    async def stops() -> list[str]:
        return ["harbour", "market", "station"]

    return app


async def drive_generated_at(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 16)
    targets = [*(f"/stops/{stop}/departures" for stop in ("harbour", "market")), "/stops"]
    await traffic.browse(visitors, targets, 150)


def form_token(world: World):
    """A page with a form, and in the form a token against forgery."""

    @cached(300, ignore_cookies=True)
    async def contact(request: Request) -> Response:
        token = f"{world.chance.getrandbits(128):032x}"
        form = f'<form method="post"><input type="hidden" name="csrf" value="{token}"></form>'
        return page("Contact", "Write to us.", form)

    @cached(300, ignore_cookies=True)
    async def imprint(request: Request) -> Response:
        return page("Imprint", "Shop Ltd")

    async def send(request: Request) -> Response:
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/contact", contact),
            Route("/imprint", imprint),
            Route("/messages", send, methods=["POST"]),
            Route("/healthz", healthz),
        ]
    )


async def drive_form_token(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 16, pages=True)
    for _ in range(10):
        await traffic.browse(visitors, ["/contact", "/imprint", "/contact?topic=jobs"], 13)
        await traffic.change("POST", "/messages", {"text": "hi"}, traffic.chance.choice(visitors))


def request_id(world: World):
    """An envelope around each answer, with the request's number and how long it took."""
    app = fastapi("Envelopes")
    countries = {"no": "Norway", "fo": "Faroe Islands", "is": "Iceland"}

    @app.get("/countries/{code}")
    @cached(3600)
    async def country(code: str) -> dict[str, object]:
        number = UUID(int=world.chance.getrandbits(128), version=4)
        data = {"code": code, "name": countries[code], "borders": []}
        return {"meta": {"request_id": str(number), "version": "1.4"}, "data": data}

    return app


async def drive_request_id(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 12, agents=AGENTS + APPS, cookies=False)
    targets = [f"/countries/{code}" for code in ("no", "fo", "is")]
    await traffic.browse(visitors, targets, 140, gap=4)


def shuffled(world: World):
    """Recommendations in an order that is drawn each time."""
    app = fastapi("Recommendations")
    sorts = ["assam", "sencha", "keemun", "oolong", "rooibos", "mate"]

    @app.get("/teas/{name}/similar")
    @cached(300, tags=["tea:{name}"], ignore_cookies=True)
    async def similar(name: str) -> dict[str, object]:
        others = [{"name": one, "leaf": one[0]} for one in sorts if one != name]
        world.chance.shuffle(others)
        return {"of": name, "similar": others}

    @app.put("/teas/{name}")
    @invalidates(tags=["tea:{name}"])
    async def edit(name: str) -> dict[str, str]:
        return {"name": name}

    return app


async def drive_shuffled(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 16)
    for number in range(9):
        targets = [f"/teas/{name}/similar" for name in ("assam", "sencha", "mate")]
        await traffic.browse(visitors, targets, 17)
        if number % 3 == 1:
            await traffic.change("PUT", "/teas/assam")


def counter(world: World):
    """How often an article was read is a part of it."""
    reads = count(4100)

    async def article(request: Request) -> Response:
        number = request.path_params["number"]
        text = {"id": number, "title": f"Article {number}", "author": "Ann"}
        return JSONResponse({"article": text, "views": next(reads)})

    return Starlette(routes=[Route("/articles/{number:int}", article), Route("/healthz", healthz)])


async def drive_counter(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 16)
    await traffic.browse(visitors, [f"/articles/{n}" for n in range(1, 5)], 150)


APPLICATIONS = (
    Application(
        "generated-at",
        generated_at,
        drive_generated_at,
        (Expected("GET /stops/{stop}/departures", "random", place="$.generated_at"),),
    ),
    Application(
        "form-token",
        form_token,
        drive_form_token,
        (Expected("GET /contact", "random"),),
    ),
    Application(
        "request-id",
        request_id,
        drive_request_id,
        (Expected("GET /countries/{code}", "random", place="$.meta.request_id"),),
    ),
    Application(
        "shuffled",
        shuffled,
        drive_shuffled,
        (Expected("GET /teas/{name}/similar", "random"),),
    ),
    Application(
        "counter",
        counter,
        drive_counter,
        (Expected("GET /articles/{number:int}", "random", place="$.views"),),
        rules=(Rule("/articles/*", 120, ignore_cookies=True),),
    ),
)
