"""Careless applications: a change is made, and what was stored before it lives on."""

from typing import Annotated

from fastapi import Body
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asgi_multitier import cached, invalidates
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi, healthz
from tests.shadow.corpus.expected import Expected
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import crowd
from tests.shadow.corpus.world import World

Price = Annotated[int, Body(embed=True)]


def no_invalidation(world: World):
    """The editors' pages change a product under a URL of their own, and drop nothing."""
    app = fastapi("Shop")
    prices = {f"sku-{n}": 500 + n for n in range(5)}

    @app.get("/products/{sku}")
    @cached(300, tags=["product:{sku}"], ignore_cookies=True)
    async def product(sku: str) -> dict[str, object]:
        return {"sku": sku, "price": prices[sku]}

    @app.put("/admin/products/{sku}")
    async def reprice(sku: str, price: Price) -> dict[str, str]:
        prices[sku] = price
        return {"changed": sku}

    @app.post("/beacon", status_code=204)
    async def beacon() -> None:
        """What a page reports of itself, all the time."""

    return app


async def drive_no_invalidation(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 14)
    for number in range(9):
        for _ in range(6):
            await traffic.browse(visitors, [f"/products/sku-{n}" for n in range(5)], 3)
            await traffic.change("POST", "/beacon", {"event": "seen"}, chance.choice(visitors))
        await traffic.change("PUT", f"/admin/products/sku-{number % 3}", {"price": 700 + number})


def comments(world: World):
    """A comment is posted below a post; pages and lists show how many there are."""
    posted: dict[str, list[str]] = {slug: [] for slug in ("tea", "cake", "milk")}

    @cached(300, ignore_cookies=True)
    async def listed(request: Request) -> Response:
        return JSONResponse([{"post": s, "comments": len(c)} for s, c in posted.items()])

    @cached(300, ignore_cookies=True)
    async def post(request: Request) -> Response:
        slug = request.path_params["slug"]
        return JSONResponse({"post": slug, "latest": posted[slug][-2:]})

    async def comment(request: Request) -> Response:
        text = (await request.json())["text"]
        posted[request.path_params["slug"]].append(text)
        return JSONResponse({"text": text}, status_code=201)

    async def like(request: Request) -> Response:
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/posts", listed),
            Route("/posts/{slug}", post),
            Route("/posts/{slug}/comments", comment, methods=["POST"]),
            Route("/posts/{slug}/likes", like, methods=["POST"]),
            Route("/healthz", healthz),
        ]
    )


async def drive_comments(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 14)
    targets = ["/posts", "/posts/tea", "/posts/cake", "/posts/milk"]
    for number in range(11):
        await traffic.browse(visitors, targets, 9)
        await traffic.change("POST", f"/posts/{chance.choice(('tea', 'cake'))}/likes")
        await traffic.browse(visitors, targets, 6)
        visitor = chance.choice(visitors)
        slug = ("tea", "cake")[number % 2]
        await traffic.change("POST", f"/posts/{slug}/comments", {"text": f"no {number}"}, visitor)


def one_of_two(world: World):
    """Deliveries drop what they change; orders change the same, and drop nothing."""
    app = fastapi("Stock")
    stock = {f"sku-{n}": 40 for n in range(4)}

    @app.get("/stock/{sku}")
    @cached(120, tags=["stock:{sku}"], ignore_cookies=True)
    async def level(sku: str) -> dict[str, object]:
        return {"sku": sku, "left": stock[sku]}

    @app.post("/deliveries/{sku}")
    @invalidates(tags=["stock:{sku}"])
    async def deliver(sku: str, count: Annotated[int, Body(embed=True)]) -> dict[str, int]:
        stock[sku] += count
        return {"left": stock[sku]}

    @app.post("/orders", status_code=201)
    async def order(sku: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        stock[sku] -= 1
        return {"ordered": sku}

    return app


async def drive_one_of_two(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 14)
    for number in range(12):
        await traffic.browse(visitors, [f"/stock/sku-{n}" for n in range(4)], 13)
        if number % 2:
            await traffic.change("POST", f"/deliveries/sku-{number % 4}", {"count": 10})
        else:
            sku = f"sku-{chance.randrange(3)}"
            await traffic.change("POST", "/orders", {"sku": sku}, chance.choice(visitors))


def misspelt_tag(world: World):
    """The tag that is dropped has one letter more than the one that answers carry."""
    app = fastapi("Recipes")
    recipes = dict.fromkeys(("bread", "soup", "pie"), 30)

    @app.get("/recipes/{name}")
    @cached(300, tags=["recipe:{name}"], ignore_cookies=True)
    async def recipe(name: str) -> dict[str, object]:
        return {"name": name, "minutes": recipes[name]}

    @app.put("/kitchen/recipes/{name}")
    @invalidates(tags=["recipes:{name}"])
    async def edit(name: str, minutes: Annotated[int, Body(embed=True)]) -> dict[str, str]:
        recipes[name] = minutes
        return {"changed": name}

    return app


async def drive_misspelt_tag(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 12)
    for number in range(9):
        await traffic.browse(visitors, [f"/recipes/{n}" for n in ("bread", "soup", "pie")], 16)
        name = ("bread", "soup")[number % 2]
        await traffic.change("PUT", f"/kitchen/recipes/{name}", {"minutes": 31 + number})


def wrong_place(world: World):
    """The tag is right but for the number in it: that of the shop and not of the price."""
    app = fastapi("Price lists")
    prices = {number: 100 * number for number in range(11, 15)}

    @app.get("/prices/{number}")
    @cached(300, tags=["price:{number}"], ignore_cookies=True)
    async def price(number: int) -> dict[str, int]:
        return {"number": number, "amount": prices[number]}

    @app.put("/shops/{shop}/prices/{number}")
    @invalidates(tags=["price:{shop}"])
    async def reprice(shop: int, number: int, price: Price) -> dict[str, int]:
        prices[number] = price
        return {"shop": shop, "changed": number}

    return app


async def drive_wrong_place(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 12)
    for number in range(10):
        await traffic.browse(visitors, [f"/prices/{n}" for n in range(11, 15)], 15)
        target = f"/shops/{number % 2 + 1}/prices/{11 + number % 3}"
        await traffic.change("PUT", target, {"price": 5000 + number})


def bulk_import(world: World):
    """Single edits are declared; the nightly file, which changes hundreds, was forgotten."""
    app = fastapi("Catalogue")
    names = {number: f"thing {number}" for number in range(6)}

    @app.get("/things/{number}")
    @cached(600, tags=["thing:{number}", "things"], ignore_cookies=True)
    async def thing(number: int) -> dict[str, object]:
        return {"number": number, "name": names[number]}

    @app.get("/things")
    @cached(600, tags=["things"], ignore_cookies=True)
    async def things() -> list[str]:
        return list(names.values())

    @app.patch("/things/{number}")
    @invalidates(tags=["thing:{number}", "things"])
    async def rename(number: int, name: Annotated[str, Body(embed=True)]) -> dict[str, int]:
        names[number] = name
        return {"changed": number}

    @app.post("/imports", status_code=202)
    async def load(rows: Annotated[dict[int, str], Body(embed=True)]) -> dict[str, int]:
        names.update(rows)
        return {"rows": len(rows)}

    return app


async def drive_bulk_import(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 14)
    targets = ["/things", *(f"/things/{n}" for n in range(6))]
    for number in range(12):
        await traffic.browse(visitors, targets, 15)
        if number % 3 == 1:
            rows = {n: f"thing {n} of {number}" for n in (number % 5, 5)}
            await traffic.change("POST", "/imports", {"rows": rows})
        else:
            await traffic.change("PATCH", f"/things/{number % 4}", {"name": f"new {number}"})


def get_that_changes(world: World):
    """A link in a mail marks a task as done: a GET."""

    tasks = dict.fromkeys(range(1, 41), "open")

    @cached(300, ignore_cookies=True)
    async def listed(request: Request) -> Response:
        first = int(request.path_params["page"]) * 10 - 9
        return JSONResponse([{"task": n, "is": tasks[n]} for n in range(first, first + 10)])

    async def done(request: Request) -> Response:
        tasks[request.path_params["number"]] = "done"
        return Response(status_code=303, headers={"location": "/lists/1"})

    async def show(request: Request) -> Response:
        return JSONResponse({"task": request.path_params["number"], "text": "Buy milk."})

    return Starlette(
        routes=[
            Route("/lists/{page:int}", listed),
            Route("/tasks/{number:int}", show),
            Route("/tasks/{number:int}/done", done),
            Route("/healthz", healthz),
        ]
    )


async def drive_get_that_changes(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 10)
    for number in range(1, 15):
        targets = ["/lists/1", "/lists/1", "/lists/2", f"/tasks/{number}"]
        await traffic.browse(visitors, targets, 10)
        await traffic.get(chance.choice(visitors), f"/tasks/{number}/done")


APPLICATIONS = (
    Application(
        "no-invalidation",
        no_invalidation,
        drive_no_invalidation,
        (Expected("GET /products/{sku}", "edit", "PUT /admin/products/{sku}"),),
    ),
    Application(
        "comments",
        comments,
        drive_comments,
        (
            Expected("GET /posts", "edit", "POST /posts/{slug}/comments"),
            Expected("GET /posts/{slug}", "edit", "POST /posts/{slug}/comments"),
        ),
    ),
    Application(
        "one-of-two",
        one_of_two,
        drive_one_of_two,
        (Expected("GET /stock/{sku}", "edit", "POST /orders"),),
    ),
    Application(
        "misspelt-tag",
        misspelt_tag,
        drive_misspelt_tag,
        (
            Expected(
                "GET /recipes/{name}",
                "tag",
                "PUT /kitchen/recipes/{name}",
                # The change is at fault, and the tag that it drops: either leads to the line.
                alternatives=(("tag", "*recipes:*"),),
            ),
        ),
    ),
    Application(
        "wrong-place",
        wrong_place,
        drive_wrong_place,
        (
            Expected(
                "GET /prices/{number}",
                "edit",
                "PUT /shops/{shop}/prices/{number}",
                # No letter of the tag is wrong, but the tag that is dropped is not the one meant.
                alternatives=(
                    ("tag", "PUT /shops/{shop}/prices/{number}"),
                    ("tag", "*price:*"),
                ),
            ),
        ),
    ),
    Application(
        "bulk-import",
        bulk_import,
        drive_bulk_import,
        (
            Expected("GET /things", "edit", "POST /imports"),
            Expected("GET /things/{number}", "edit", "POST /imports"),
        ),
    ),
    Application(
        "get-that-changes",
        get_that_changes,
        drive_get_that_changes,
        (Expected("GET /lists/{page:int}", "edit", "GET /tasks/{number:int}/done"),),
    ),
)
