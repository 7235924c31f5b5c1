"""The same shop in each framework, with marks on its handlers and views.

Each has: `GET /products/{id}` (cached, tagged), `PUT /products/{id}` (drops that tag), `GET
/all/products` (cached, tagged; of a class or a group of routes), `PUT /all/products` (drops it),
`GET /never` (never cached, whatever the default says), `GET /plain` (no mark), `POST /orders/{id}`
(drops a product by its tag, and all products by the name of their route).
"""

from collections.abc import Callable
from typing import Any

from asgi_multitier import cached, invalidates, no_cache

TAGS = ["product:{id}"]


class Counts(dict[str, int]):
    """How often each endpoint ran."""

    def up(self, name: str) -> str:
        """Count one run; what the endpoint answers."""
        self[name] = self.get(name, 0) + 1
        return f"{name} {self[name]}"


def litestar(counts: Counts) -> Any:
    from litestar import Controller, Litestar, Request, Router, get, post, put

    @get("/{id:int}", sync_to_thread=False)
    @cached(60, tags=TAGS)
    def product(request: Request[Any, Any, Any]) -> str:
        return counts.up(f"product {request.path_params['id']}")

    @invalidates(tags=TAGS)
    @put("/{id:int}", sync_to_thread=False)
    def change() -> str:
        return counts.up("change")

    class All(Controller):
        path = "/all"

        @get("/products", name="all", sync_to_thread=False)
        @cached(60, tags=["all"])
        def products(self) -> str:
            return counts.up("all")

        @put("/products", sync_to_thread=False)
        @invalidates(tags=["all"])
        def renew(self) -> str:
            return counts.up("renew")

    @get("/never", sync_to_thread=False)
    @no_cache
    def never() -> str:
        return counts.up("never")

    @get("/plain", sync_to_thread=False)
    def plain() -> str:
        return counts.up("plain")

    @post("/orders/{id:int}", sync_to_thread=False)
    @invalidates(tags=TAGS, routes=["all"])
    def order() -> str:
        return counts.up("order")

    products = Router("/products", route_handlers=[product, change])
    handlers = [products, All, never, plain, order]
    return Litestar(handlers, logging_config=None, openapi_config=None)


def quart(counts: Counts) -> Any:
    from quart import Blueprint, Quart
    from quart.views import MethodView

    app, products = Quart("shop"), Blueprint("products", __name__, url_prefix="/products")

    @products.get("/<int:id>")
    @cached(60, tags=TAGS)
    async def product(id: int) -> str:  # noqa: A002
        return counts.up(f"product {id}")

    @invalidates(tags=TAGS)
    @products.put("/<int:id>")
    async def change(id: int) -> str:  # noqa: A002
        return counts.up("change")

    class All(MethodView):
        @cached(60, tags=["all"])
        async def get(self) -> str:
            return counts.up("all")

        @invalidates(tags=["all"])
        async def put(self) -> str:
            return counts.up("renew")

    @app.get("/never")
    @no_cache
    async def never() -> str:
        return counts.up("never")

    @app.get("/plain")
    def plain() -> str:
        return counts.up("plain")

    @app.post("/orders/<int:id>")
    @invalidates(tags=TAGS, routes=["all"])
    async def order(id: int) -> str:  # noqa: A002
        return counts.up("order")

    app.register_blueprint(products)
    app.add_url_rule("/all/products", view_func=All.as_view("all"))
    return app


def django(counts: Counts) -> Any:
    from django.core.handlers.asgi import ASGIHandler
    from django.http import HttpRequest, HttpResponse
    from django.urls import include, path, re_path
    from django.utils.decorators import method_decorator
    from django.views import View

    from .random_routes import rooted

    @method_decorator(cached(60, tags=TAGS), name="get")
    @method_decorator(invalidates(tags=TAGS), name="put")
    class Product(View):
        def get(self, request: HttpRequest, id: int) -> HttpResponse:  # noqa: A002
            return HttpResponse(counts.up(f"product {id}"))

        def put(self, request: HttpRequest, id: int) -> HttpResponse:  # noqa: A002
            return HttpResponse(counts.up("change"))

    @cached(60, tags=["all"])
    @invalidates(tags=["all"])
    def products(request: HttpRequest) -> HttpResponse:
        return HttpResponse(counts.up("all" if request.method == "GET" else "renew"))

    @no_cache
    async def never(request: HttpRequest) -> HttpResponse:
        return HttpResponse(counts.up("never"))

    async def plain(request: HttpRequest) -> HttpResponse:
        return HttpResponse(counts.up("plain"))

    @invalidates(tags=TAGS, routes=["all"])
    async def order(request: HttpRequest, id: str) -> HttpResponse:  # noqa: A002
        return HttpResponse(counts.up("order"))

    patterns = [
        path("products/", include([path("<int:id>", Product.as_view())])),
        path("all/products", products, name="all"),
        path("never", never),
        path("plain", plain),
        re_path(r"^orders/(?P<id>[0-9]+)$", order),
    ]
    return rooted(patterns, ASGIHandler)


def falcon(counts: Counts) -> Any:
    import falcon
    import falcon.asgi

    class Product:
        @cached(60, tags=TAGS)
        async def on_get(self, req: Any, resp: Any, id: int) -> None:  # noqa: A002
            resp.text = counts.up(f"product {id}")

        @invalidates(tags=TAGS)
        async def on_put(self, req: Any, resp: Any, id: int) -> None:  # noqa: A002
            resp.text = counts.up("change")

    class All:
        @cached(60, tags=["all"])
        async def on_get_all(self, req: Any, resp: Any) -> None:
            resp.text = counts.up("all")

        @invalidates(tags=["all"])
        async def on_put_all(self, req: Any, resp: Any) -> None:
            resp.text = counts.up("renew")

    class Never:
        @no_cache
        async def on_get(self, req: Any, resp: Any) -> None:
            resp.text = counts.up("never")

    class Plain:
        async def on_get(self, req: Any, resp: Any) -> None:
            resp.text = counts.up("plain")

    class Order:
        @invalidates(tags=TAGS, routes=["/all/products"])
        async def on_post(self, req: Any, resp: Any, id: int) -> None:  # noqa: A002
            resp.text = counts.up("order")

    app = falcon.asgi.App()
    app.add_route("/products/{id:int}", Product())
    app.add_route("/all/products", All(), suffix="all")
    app.add_route("/never", Never())
    app.add_route("/plain", Plain())
    app.add_route("/orders/{id:int}", Order())
    return app


SHOPS: dict[str, Callable[[Counts], Any]] = {
    made.__name__: made for made in (litestar, quart, django, falcon)
}
