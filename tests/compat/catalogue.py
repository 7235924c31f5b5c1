"""The frameworks by name, and their applications with a cache and without."""

import importlib
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from asgi_multitier import CacheManager, CacheMiddleware
from tests.compat import shop

FRAMEWORKS = (
    "fastapi",
    "starlette",
    "litestar",
    "quart",
    "django",
    "falcon",
    "blacksheep",
    "lilya",
    "flask_a2wsgi",
    "flask_asgiref",
)
"""Names of the modules in `apps`; its parts are the packages that must be installed."""


def installed(framework: str) -> bool:
    """Whether it can be imported here."""
    needed = framework.split("_")
    return all(find_spec(name) is not None for name in needed)


def module(framework: str) -> ModuleType:
    """The module in `apps`."""
    return importlib.import_module(f"tests.compat.apps.{framework}")


def lacking(framework: str) -> dict[str, str]:
    """The expectations that do not apply to a framework, and why."""
    found: dict[str, str] = module(framework).LACKS
    return found


def versions(framework: str) -> str:
    """What is installed, for the matrix."""
    packages: tuple[str, ...] = module(framework).PACKAGES
    return ", ".join(f"{package} {version(package)}" for package in packages)


def alone(framework: str, cache: CacheManager | None = None) -> Any:
    """A new application without the middleware."""
    return module(framework).build(cache)


def wrapped(framework: str, cache: CacheManager) -> Any:
    """A new application with the middleware around it."""
    return CacheMiddleware(alone(framework, cache), cache, rules=shop.rules())


def caching(framework: str, cache: CacheManager | None = None) -> Any:
    """A new application with its cache, as the framework adds a middleware."""
    cache = cache or shop.cache()
    add = getattr(module(framework), "add_cache", None)
    return wrapped(framework, cache) if add is None else add(alone(framework, cache), cache)
