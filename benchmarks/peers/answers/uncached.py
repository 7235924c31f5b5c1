"""No cache, for proxies: a route may say how long its response is fresh."""

from typing import Any

from fastapi import Depends, FastAPI, Response

from . import data, endpoints


def _short(response: Response) -> None:
    response.headers["Cache-Control"] = f"max-age={data.SHORT}"


def _arguments(path: str) -> dict[str, Any]:
    return {"dependencies": [Depends(_short)]} if path.startswith("/fragile") else {}


def app() -> FastAPI:
    """The application."""
    return endpoints.application(arguments=_arguments)
