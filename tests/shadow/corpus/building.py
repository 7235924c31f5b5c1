"""What the applications of the corpus are made with."""

from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response


def fastapi(title: str) -> FastAPI:
    """An application without pages of documentation, which a test has no use for."""
    app = FastAPI(title=title, openapi_url=None)
    app.add_route("/healthz", healthz)
    return app


async def healthz(request: Request) -> Response:
    """Whether the process lives."""
    return PlainTextResponse("ok")


def page(title: str, *parts: Any, **attributes: str) -> HTMLResponse:
    """A page of some size, as pages are."""
    marks = "".join(f' {name}="{value}"' for name, value in attributes.items())
    content = "".join(f"<section>{part}</section>" for part in parts)
    links = "".join(f'<a href="/{name}">{name}</a>' for name in ("home", "sale", "help", "about"))
    return HTMLResponse(
        f"<!doctype html><html{marks}><head><title>{title}</title></head>"
        f"<body><nav>{links}</nav><h1>{title}</h1>{content}<footer>Shop Ltd</footer></body></html>"
    )
