"""An application that no server can start: the template names a parameter that nothing has."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheMiddleware, cached


@cached(60, tags=["{nothing}"])
async def misspelt(request: Request) -> Response:
    return PlainTextResponse("never")


app = Starlette(routes=[Route("/", misspelt)], middleware=[Middleware(CacheMiddleware)])
