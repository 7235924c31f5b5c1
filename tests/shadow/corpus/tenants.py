"""Careless applications: who may see what, in which partition of the data, is not in the key."""

from typing import Annotated

from fastapi import Header, HTTPException
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asgi_multitier import Rule, cached, invalidates
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi, healthz
from tests.shadow.corpus.expected import Expected
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import APPS, PROGRAMS, crowd
from tests.shadow.corpus.world import World

TENANTS = ("acme", "globex", "initech", "umbrella")


def tenant_field(world: World):
    """The gateway names the tenant; "the list is public inside of the company"."""
    app = fastapi("Projects")
    projects = {tenant: [f"{tenant} {n}" for n in range(3)] for tenant in TENANTS}

    @app.get("/projects")
    @cached(120, public=True, tags=["projects"])
    async def listed(x_tenant_id: Annotated[str, Header()]) -> list[str]:
        return projects[x_tenant_id]

    @app.post("/projects", status_code=201)
    @invalidates(tags=["projects"])
    async def add(name: str, tenant: str = "acme") -> dict[str, str]:
        projects[tenant].append(name)
        return {"name": name}

    return app


async def drive_tenant_field(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 14)
    for visitor in visitors:
        visitor.fields["x-tenant-id"] = chance.choice(TENANTS)
    for number in range(10):
        await traffic.browse(visitors, ["/projects", "/projects?sort=name"], 15)
        # Consultants work for several.
        chance.choice(visitors).fields["x-tenant-id"] = chance.choice(TENANTS)
        if number % 3 == 0:
            tenant = chance.choice(TENANTS)
            await traffic.change("POST", f"/projects?name=new-{number}&tenant={tenant}")


def tenant_cookie(world: World):
    """The workspace that was chosen last is in a cookie."""
    boards = {name: [f"{name}: {n}" for n in range(4)] for name in TENANTS}

    async def listed(request: Request) -> Response:
        name = request.cookies.get("workspace", "acme")
        return JSONResponse({"workspace": name, "boards": boards.get(name, [])})

    async def one(request: Request) -> Response:
        name = request.cookies.get("workspace", "acme")
        return JSONResponse({"board": boards[name][request.path_params["number"]]})

    return Starlette(
        routes=[
            Route("/boards", listed),
            Route("/boards/{number:int}", one),
            Route("/healthz", healthz),
        ]
    )


async def drive_tenant_cookie(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 15)
    for visitor in visitors:
        visitor.cookies["workspace"] = chance.choice(TENANTS)
    for _ in range(9):
        await traffic.browse(visitors, ["/boards", "/boards", "/boards/1", "/boards/2"], 20)
        chance.choice(visitors).cookies["workspace"] = chance.choice(TENANTS)


def tenant_host(world: World):
    """The proxy asks under one name, and says in a field of its own which site was asked for."""
    app = fastapi("Hosted shops")

    @app.get("/catalogue")
    @cached(300, ignore_cookies=True)
    async def catalogue(request: Request) -> dict[str, object]:
        shop = request.headers.get("x-subdomain", "www")
        return {"shop": shop, "items": [f"{shop}-{n}" for n in range(3)]}

    @app.get("/status")
    @cached(30, ignore_cookies=True)
    async def status() -> dict[str, bool]:
        return {"open": True}

    return app


async def drive_tenant_host(traffic: Traffic) -> None:
    chance = traffic.chance
    traffic.host = "shops.internal"
    visitors = crowd(chance, 16)
    for _ in range(160):
        visitor = chance.choice(visitors)
        # The same people buy in several shops.
        shop = TENANTS[(visitor.number + chance.choice((0, 0, 0, 1))) % 4]
        visitor.fields["x-subdomain"] = shop
        await traffic.get(visitor, chance.choice(("/catalogue", "/catalogue?page=2", "/status")))
        await traffic.noise()
        await traffic.pause()


def access_level(world: World):
    """Partners see what the public does not; the gateway says who is one."""
    app = fastapi("Parts")

    @app.get("/parts/{number}")
    @cached(300, public=True)
    async def part(number: int, x_access_level: Annotated[str, Header()] = "public"):
        if number == 5 and x_access_level == "public":
            raise HTTPException(404)
        found: dict[str, object] = {"number": number, "name": f"part {number}"}
        if x_access_level in ("partner", "staff"):
            found["wholesale"] = 70 + number
        if x_access_level == "staff":
            found["margin"] = 0.31
        return found

    return app


async def drive_access_level(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 18, agents=(*APPS, *PROGRAMS), cookies=False)
    for visitor in visitors:
        if visitor.number % 3:
            visitor.fields["x-access-level"] = ("", "partner", "staff")[visitor.number % 3]
    for _ in range(8):
        await traffic.browse(visitors, [f"/parts/{n}" for n in range(1, 7)], 22)
        chance.choice(visitors).fields["x-access-level"] = chance.choice(("partner", "public"))


APPLICATIONS = (
    Application(
        "tenant-field",
        tenant_field,
        drive_tenant_field,
        (
            Expected(
                "GET /projects",
                "field",
                "x-tenant-id",
                # The package itself counts this field among those that identify the user.
                alternatives=(("user", "x-tenant-id"),),
            ),
        ),
    ),
    Application(
        "tenant-cookie",
        tenant_cookie,
        drive_tenant_cookie,
        (
            Expected("GET /boards", "cookie", "workspace"),
            Expected("GET /boards/{number:int}", "cookie", "workspace"),
        ),
        rules=(Rule("/boards*", 120, public=True),),
    ),
    Application(
        "tenant-host",
        tenant_host,
        drive_tenant_host,
        (Expected("GET /catalogue", "field", "x-subdomain"),),
        settings={"harmless_headers": ["x-subdomain"]},
    ),
    Application(
        "access-level",
        access_level,
        drive_access_level,
        (
            Expected(
                "GET /parts/{number}",
                "field",
                "x-access-level",
                # As for the tenant.
                alternatives=(("user", "x-access-level"),),
            ),
        ),
    ),
)
