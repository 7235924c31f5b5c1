"""A report's proposals pasted into the application that it is about, as a developer would."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette

from asgi_multitier import cached, invalidates, no_cache
from asgi_multitier.shadow.report import Report
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.expected import plain
from tests.shadow.corpus.world import World

_CHANGES = ("edit", "late-commit", "tag")

_MARK = "__asgi_multitier__"


def pasted(application: Application, report: Report) -> Application:
    """The application with each annotation where the report says that it belongs."""

    def make(world: World) -> Starlette:
        app = application.make(world)
        for route in report.routes:
            if route.annotation is not None and (route.wrong or not route.rule):
                _paste(app, route.route, route.annotation)
            for finding in route.findings:
                if finding.cause in _CHANGES and finding.annotation is not None:
                    _paste(app, finding.name, finding.annotation)
        return app

    return replace(application, make=make)


def bare(application: Application) -> Application:
    """The application before anything of it was cached: without annotations and rules."""

    def make(world: World) -> Starlette:
        app = application.make(world)
        for route in app.routes:
            with suppress(AttributeError):
                delattr(route.endpoint, _MARK)  # type: ignore[attr-defined]
        return app

    return replace(application, make=make, rules=())


def _paste(app: Starlette, label: str, text: str) -> None:
    """Write an annotation above the endpoint of a route."""
    route = _route(app, label)
    endpoint = route.endpoint
    if not text.startswith("@invalidates") and hasattr(endpoint, _MARK):
        delattr(endpoint, _MARK)  # it is written in place of the one that is there
    names = {"cached": cached, "invalidates": invalidates, "no_cache": no_cache}
    for line in text.splitlines():
        endpoint = eval(line.removeprefix("@"), dict(names))(endpoint)
    if endpoint is not route.endpoint:
        # What reads arguments is a function around the endpoint, as it is when it is decorated.
        assert isinstance(app, FastAPI)
        app.router.routes.remove(route)
        app.add_api_route(
            route.path, endpoint, methods=list(route.methods), status_code=route.status_code
        )


def _route(app: Starlette, label: str) -> Any:
    method, _, template = plain(label).partition(" ")
    routes: list[Any] = list(app.routes)
    (found,) = (one for one in routes if plain(one.path) == template and method in one.methods)
    return found
