"""Careless applications: a cookie chooses the answer, and the rule ignores it."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from asgi_multitier import Rule, cached, invalidates
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi, healthz, page
from tests.shadow.corpus.expected import Expected
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import crowd
from tests.shadow.corpus.world import World


def theme(world: World):
    """Pages in the colours that the visitor has chosen."""

    async def post(request: Request) -> Response:
        colours = "dark" if request.cookies.get("theme") == "dark" else "light"
        return page(f"Post {request.path_params['slug']}", "Text.", theme=colours)

    return Starlette(routes=[Route("/posts/{slug}", post), Route("/healthz", healthz)])


async def drive_theme(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 20, pages=True)
    for visitor in visitors:
        if visitor.number % 2:
            visitor.cookies["theme"] = chance.choice(("dark", "dark", "light"))
    for _ in range(9):
        await traffic.browse(visitors, [f"/posts/{slug}" for slug in "abcdef"], 20)
        chance.choice(visitors).cookies["theme"] = chance.choice(("dark", "light"))


def experiment(world: World):
    """Half of the visitors see another price table; the bucket is drawn once and kept."""
    app = fastapi("Plans")

    @app.get("/plans")
    @cached(300, ignore_cookies=["_*", "cookieconsent_status", "ab_*"])
    async def plans(request: Request) -> list[dict[str, object]]:
        prices = (9, 19, 49) if request.cookies.get("ab_pricing") == "B" else (12, 24, 48)
        return [
            {"plan": name, "price": price}
            for name, price in zip(("basic", "team", "firm"), prices, strict=True)
        ]

    @app.get("/plans/{name}/features")
    @cached(300, ignore_cookies=["_*", "cookieconsent_status", "ab_*"])
    async def features(name: str) -> list[str]:
        return [f"{name} support", "backups", "audit log"]

    return app


async def drive_experiment(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 30)
    for visitor in visitors:
        visitor.cookies["ab_pricing"] = chance.choice("AB")
        visitor.cookies["ab_layout"] = chance.choice("ABC")
        visitor.cookies["ab_copy"] = chance.choice("AB")
    targets = ["/plans", "/plans?from=mail", "/plans/basic/features", "/plans/team/features"]
    await traffic.browse(visitors, targets, 180)


def region(world: World):
    """One of two cookies that count is named."""
    app = fastapi("Deliveries")
    days = {"north": 2, "south": 3, "islands": 7}

    @app.get("/delivery/{kind}")
    @cached(300, cookies=["plan"])
    async def delivery(kind: str, request: Request) -> dict[str, object]:
        away = days.get(request.cookies.get("region", "north"), 2)
        if request.cookies.get("plan") == "express":
            away -= 1
        return {"kind": kind, "days": away + (3 if kind == "furniture" else 0)}

    return app


async def drive_region(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 20)
    for visitor in visitors:
        visitor.cookies["plan"] = chance.choice(("standard", "express"))
        if chance.random() < 0.85:
            visitor.cookies["region"] = chance.choice(("north", "south", "islands"))
    for _ in range(9):
        await traffic.browse(visitors, [f"/delivery/{k}" for k in ("books", "furniture")], 20)
        moved = chance.choice(visitors)
        moved.cookies["region"] = chance.choice(("north", "south", "islands"))
        chance.choice(visitors).cookies["plan"] = chance.choice(("standard", "express"))


def basket(world: World):
    """A page with what lies in the visitor's basket, told apart by a session."""
    baskets: dict[str, int] = {}

    @cached(120, ignore_cookies=True, tags=["shelves"])
    async def shelf(request: Request) -> Response:
        session = request.cookies.get("sid", "")
        return page(f"Shelf {request.path_params['number']}", f"Basket: {baskets.get(session, 0)}")

    @invalidates(tags=["shelves"])
    async def put(request: Request) -> Response:
        session = request.cookies.get("sid", "")
        baskets[session] = baskets.get(session, 0) + 1
        return Response(status_code=303, headers={"location": "/shelves/1"})

    return Starlette(
        routes=[
            Route("/shelves/{number:int}", shelf),
            Route("/basket", put, methods=["POST"]),
            Route("/healthz", healthz),
        ]
    )


async def drive_basket(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 9, pages=True)
    for visitor in visitors:
        if visitor.number != 4:
            visitor.cookies["sid"] = f"{chance.getrandbits(96):x}"
    for visitor in chance.choices(visitors, k=6):
        await traffic.change("POST", "/basket", visitor=visitor)
    for _ in range(9):
        await traffic.browse(visitors, [f"/shelves/{n}" for n in range(1, 4)], 20, gap=0.5)
        await traffic.change("POST", "/basket", visitor=chance.choice(visitors[:4]))


APPLICATIONS = (
    Application(
        "theme",
        theme,
        drive_theme,
        (Expected("GET /posts/{slug}", "cookie", "theme"),),
        rules=(Rule("/posts/*", 300, ignore_cookies=True),),
    ),
    Application(
        "experiment",
        experiment,
        drive_experiment,
        (Expected("GET /plans", "cookie", "ab_pricing"),),
    ),
    Application(
        "region",
        region,
        drive_region,
        (Expected("GET /delivery/{kind}", "cookie", "region"),),
    ),
    Application(
        "basket",
        basket,
        drive_basket,
        (
            Expected(
                "GET /shelves/{number:int}",
                "cookie",
                "sid",
                # The cookie is the session of a user.
                alternatives=(("user", None),),
            ),
        ),
    ),
)
