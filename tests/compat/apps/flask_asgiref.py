"""Flask behind asgiref's WsgiToAsgi, with rules, and the middleware around it."""

from typing import Any

from asgiref.wsgi import WsgiToAsgi

from asgi_multitier import CacheManager
from tests.compat.apps import wsgi

PACKAGES = ("flask", "asgiref")
LACKS = wsgi.LACKS | {"work after the response": "the adapter does not call `close()`"}


def build(cache: CacheManager | None = None) -> Any:
    """The application without a cache."""
    return WsgiToAsgi(wsgi.shop_in_flask(cache))
