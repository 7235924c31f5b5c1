"""Careless applications: what browsers send with each request chooses the answer."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import Rule, cached
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi, healthz, page
from tests.shadow.corpus.expected import Expected
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import PROGRAMS, crowd
from tests.shadow.corpus.world import World

GREETINGS = {"en": "Welcome", "de": "Willkommen", "fr": "Bienvenue", "es": "Bienvenidos"}


def locale(world: World):
    """Pages in the first language that the browser names."""

    async def shown(request: Request) -> Response:
        first = request.headers.get("accept-language", "en").partition(",")[0]
        language = first.partition("-")[0].strip().lower()
        greeting = GREETINGS.get(language, GREETINGS["en"])
        return page(greeting, request.path_params.get("name", "home"), lang=language)

    return Starlette(
        routes=[
            Route("/", shown),
            Route("/pages/{name}", shown),
            Route("/healthz", healthz),
        ]
    )


async def drive_locale(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 24, pages=True)
    targets = [f"/pages/{name}" for name in ("about", "jobs", "help", "press", "terms")]
    await traffic.browse(visitors, targets, 180)


def accept(world: World):
    """A report as JSON, or as a table for those who ask for one."""

    @cached(600, ignore_cookies=True)
    async def report(request: Request) -> Response:
        rows = [("north", 12), ("south", 9), ("west", len(request.path_params["month"]))]
        wanted = request.headers.get("accept", "*/*")
        if "text/csv" in wanted:
            text = "\n".join(f"{name},{count}" for name, count in rows)
            return PlainTextResponse(text, media_type="text/csv")
        if "text/html" in wanted:
            return page("Report", *rows)
        return JSONResponse({"rows": rows, "month": request.path_params["month"]})

    return Starlette(routes=[Route("/reports/{month}", report), Route("/healthz", healthz)])


async def drive_accept(traffic: Traffic) -> None:
    chance = traffic.chance
    browsers = crowd(chance, 8, pages=True)
    programs = crowd(chance, 8, agents=PROGRAMS, cookies=False)
    for program in programs:
        program.fields["accept"] = chance.choice(("text/csv", "application/json", "*/*"))
    for _ in range(8):
        targets = [f"/reports/2026-0{n}" for n in range(1, 5)]
        await traffic.browse([*browsers, *programs], targets, 16, gap=3)
        chance.choice(programs).fields["accept"] = chance.choice(("text/csv", "application/json"))


def user_agent(world: World):
    """One page for telephones, another for desktops."""

    @cached(300, ignore_cookies=["_*", "cookieconsent_status"])
    async def article(request: Request) -> Response:
        number = request.path_params["number"]
        if "Mobi" in request.headers.get("user-agent", ""):
            return page(f"Article {number}", "Short text.", layout="mobile")
        return page(f"Article {number}", "The whole text.", "An aside.", layout="desktop")

    return Starlette(routes=[Route("/articles/{number:int}", article), Route("/healthz", healthz)])


async def drive_user_agent(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 36, pages=True)
    await traffic.browse(visitors, [f"/articles/{n}" for n in range(1, 7)], 220)


def save_data(world: World):
    """Small pictures for those who save data: a field that most browsers never send."""
    app = fastapi("Pictures")

    @app.get("/galleries/{gallery}")
    @cached(300, ignore_cookies=True)
    async def pictures(gallery: str, request: Request) -> list[str]:
        size = "small" if request.headers.get("save-data") == "on" else "large"
        return [f"/img/{gallery}/{n}-{size}.webp" for n in range(4)]

    return app


async def drive_save_data(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 20)
    for visitor in visitors[:5]:
        visitor.fields["save-data"] = "on"
    for _ in range(9):
        await traffic.browse(visitors, [f"/galleries/{name}" for name in "abcde"], 20)
        # One leaves the train, another boards it.
        chance.choice(visitors).fields.pop("save-data", None)
        chance.choice(visitors).fields["save-data"] = "on"


APPLICATIONS = (
    Application(
        "locale",
        locale,
        drive_locale,
        (Expected("GET /pages/{name}", "field", "accept-language"),),
        rules=(Rule("/pages/*", 300, ignore_cookies=True),),
    ),
    Application(
        "accept",
        accept,
        drive_accept,
        (Expected("GET /reports/{month}", "field", "accept"),),
    ),
    Application(
        "user-agent",
        user_agent,
        drive_user_agent,
        (Expected("GET /articles/{number:int}", "field", "user-agent"),),
    ),
    Application(
        "save-data",
        save_data,
        drive_save_data,
        (Expected("GET /galleries/{gallery}", "field", "save-data"),),
    ),
)
