"""Careless applications: who asks, from where, and which parameters count is not in the key."""

from fastapi import Request, Response
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.responses import Response as Answer
from starlette.routing import Route

from asgi_multitier import Rule, cached
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi, healthz
from tests.shadow.corpus.expected import Expected
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import AGENTS, APPS, Lines, Visitor, crowd
from tests.shadow.corpus.world import World


def account(world: World):
    """Each user's own figures, declared the same for all and public for good measure."""
    app = fastapi("Accounts")
    names = {
        "tok-ann": "Ann",
        "tok-bob": "Bob",
        "tok-cid": "Cid",
        "tok-dee": "Dee",
        "tok-eva": "Eva",
    }

    @app.get("/me")
    @cached(60, public=True)
    async def me(response: Response, request: Request) -> dict[str, object]:
        name = names[request.headers["authorization"].removeprefix("Bearer ")]
        response.headers["Cache-Control"] = "public, max-age=30"
        return {"name": name, "points": 100 + len(name) * ord(name[0])}

    @app.get("/offers")
    @cached(60, public=True)
    async def offers(response: Response) -> list[str]:
        response.headers["Cache-Control"] = "public, max-age=30"
        return ["tea for two", "cake"]

    return app


async def drive_account(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 12, agents=APPS, cookies=False)
    for visitor in visitors:
        # Several devices of one user.
        token = ("ann", "bob", "cid", "dee", "eva")[visitor.number % 5]
        visitor.fields["authorization"] = f"Bearer tok-{token}"
        visitor.fields["x-app-version"] = chance.choice(("7.4.1", "7.5.0"))
    await traffic.browse(visitors, ["/me", "/me", "/offers"], 170)


def session_page(world: World):
    """The dashboard of the user who has logged in, with a session in a cookie."""
    users = {f"s{n:016x}": f"user {n}" for n in range(40)}

    async def dashboard(request: Request) -> Answer:
        user = users.get(request.cookies.get("sessionid", ""))
        if user is None:
            return JSONResponse({"user": None, "login": "/login"})
        return JSONResponse({"user": user, "messages": len(user) % 4, "role": "member"})

    async def news(request: Request) -> Answer:
        return JSONResponse(["We are open on Sunday."])

    return Starlette(
        routes=[
            Route("/dashboard", dashboard),
            Route("/news", news),
            Route("/healthz", healthz),
        ]
    )


async def drive_session_page(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 12)
    for visitor in visitors:
        visitor.cookies["sessionid"] = f"s{visitor.number % 8:016x}"
        visitor.cookies["csrftoken"] = f"{chance.getrandbits(128):032x}"
    for number in range(9):
        await traffic.browse(visitors, ["/dashboard", "/news"], 18)
        # A session ends, and its user logs in again on the same device.
        chance.choice(visitors).cookies["sessionid"] = f"s{8 + number:016x}"


def nearest(world: World):
    """The store that is nearest to the address of the connection."""
    app = fastapi("Stores")

    @app.get("/stores/nearest")
    @cached(600, ignore_cookies=True)
    async def store(request: Request) -> dict[str, str]:
        network = request.client.host.split(".")[0] if request.client else ""
        return {"store": {"81": "Hamburg", "93": "Lyon"}.get(network, "Leeds")}

    @app.get("/stores")
    @cached(600, ignore_cookies=True)
    async def stores() -> list[str]:
        return ["Hamburg", "Lyon", "Leeds"]

    return app


async def drive_nearest(traffic: Traffic) -> None:
    traffic.proxies = ()
    visitors = crowd(traffic.chance, 22)
    targets = ["/stores/nearest", "/stores/nearest?open=1", "/stores"]
    await traffic.browse(visitors, targets, 170, gap=2)


class BehindEdges(Traffic):
    """Some requests come by way of an edge, which adds itself to the addresses."""

    def _lines(self, visitor: Visitor | None) -> tuple[Lines, str]:
        lines, address = super()._lines(visitor)
        if visitor is not None and self.chance.random() < 0.15:
            edge = f"172.68.1.{self.chance.randrange(3)}"
            lines = [(k, f"{v}, {edge}" if k == "x-forwarded-for" else v) for k, v in lines]
        return lines, address


def forwarded_for(world: World):
    """Taxes of the country that the first forwarded address is in."""
    app = fastapi("Taxes")
    rates = {"81": 19, "93": 20, "203": 10}

    @app.get("/quotes/{item}")
    @cached(300, ignore_cookies=True)
    async def quote(item: int, request: Request) -> dict[str, object]:
        first = request.headers.get("x-forwarded-for", "").partition(",")[0].strip()
        rate = rates.get(first.partition(".")[0], 0)
        return {"item": item, "net": 100 * item, "gross": (100 + rate) * item, "vat": rate}

    return app


async def drive_forwarded_for(traffic: Traffic) -> None:
    edges = BehindEdges(traffic.client, traffic.world, traffic.alike)
    edges.steps = traffic.steps
    visitors = crowd(edges.chance, 22)
    await edges.browse(visitors, [f"/quotes/{n}" for n in range(1, 6)], 190)


def sorting(world: World):
    """An allow-list of parameters that was written before the list could be sorted."""
    app = fastapi("Listing")
    prices = {"lamp": 30, "desk": 220, "stool": 45, "sofa": 700}
    items = [{"name": name, "price": price} for name, price in prices.items()]

    @app.get("/items")
    @cached(120, query=["page", "category"], ignore_cookies=True)
    async def listed(page: int = 1, category: str = "all", sort: str = "name"):
        found = sorted(items, key=lambda one: one[sort if sort in ("name", "price") else "name"])
        return {"category": category, "page": page, "items": found}

    return app


async def drive_sorting(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 18)
    for _ in range(190):
        query = [f"category={chance.choice(('all', 'home'))}"]
        query += [f"page={chance.randrange(1, 3)}"] if chance.random() < 0.4 else []
        query += [f"sort={chance.choice(('name', 'price'))}"] if chance.random() < 0.5 else []
        if chance.random() < 0.4:
            query.append(f"utm_source={chance.choice(('mail', 'ad', 'feed'))}")
            query.append(f"gclid={chance.getrandbits(60):x}")
        chance.shuffle(query)
        await traffic.get(chance.choice(visitors), f"/items?{'&'.join(query)}")
        await traffic.noise()
        await traffic.pause()


def page_size(world: World):
    """Partners ask for pages of any size; the rule counts the page alone."""

    async def entries(request: Request) -> Answer:
        page = int(request.query_params.get("page", "1"))
        size = min(int(request.query_params.get("per_page", "20")), 50)
        return JSONResponse({"page": page, "entries": list(range((page - 1) * size, page * size))})

    return Starlette(routes=[Route("/v1/entries", entries), Route("/healthz", healthz)])


async def drive_page_size(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 12, agents=AGENTS[:3] + APPS, cookies=False)
    for _ in range(170):
        visitor = chance.choice(visitors)
        query = f"page={chance.randrange(1, 4)}&_={chance.getrandbits(40)}"
        if visitor.number % 3:
            query += f"&per_page={(0, 10, 50)[visitor.number % 3]}"
        if visitor.number == 5 and chance.random() < 0.5:
            query += "&format=json"
        await traffic.get(visitor, f"/v1/entries?{query}")
        await traffic.noise()
        await traffic.pause()


APPLICATIONS = (
    Application(
        "account",
        account,
        drive_account,
        (
            Expected(
                "GET /me",
                "user",
                # The field by which the user is known.
                alternatives=(("field", "authorization"),),
            ),
        ),
    ),
    Application(
        "session-page",
        session_page,
        drive_session_page,
        (
            Expected(
                "GET /dashboard",
                "cookie",
                "sessionid",
                # The cookie is the session of a user.
                alternatives=(("user", None),),
            ),
        ),
        rules=(Rule("/dashboard", 60, public=True), Rule("/news", 60, public=True)),
    ),
    Application(
        "nearest",
        nearest,
        drive_nearest,
        (Expected("GET /stores/nearest", "address"),),
    ),
    Application(
        "forwarded-for",
        forwarded_for,
        drive_forwarded_for,
        (
            Expected(
                "GET /quotes/{item}",
                "field",
                "x-forwarded-for",
                # The field says the client's address, behind a proxy.
                alternatives=(("address", None),),
            ),
        ),
    ),
    Application("sorting", sorting, drive_sorting, (Expected("GET /items", "query", "sort"),)),
    Application(
        "page-size",
        page_size,
        drive_page_size,
        (Expected("GET /v1/entries", "query", "per_page"),),
        rules=(Rule("/v1/*", 300, query=["page"]),),
    ),
)
