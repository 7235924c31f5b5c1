"""Flask behind a2wsgi, with rules, and the middleware around it."""

from typing import Any

from a2wsgi import WSGIMiddleware

from asgi_multitier import CacheManager
from tests.compat.apps import wsgi

PACKAGES = ("flask", "a2wsgi")
LACKS = wsgi.LACKS


def build(cache: CacheManager | None = None) -> Any:
    """The application without a cache."""
    return WSGIMiddleware(wsgi.shop_in_flask(cache))
