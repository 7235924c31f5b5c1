"""Layers that do nothing to a request which the cache answers, and do not look at it afterwards.

They are known by the code that runs, module and name, so that a subclass with code of its own, or a
tool that has replaced it, is not taken for the original.
"""

from typing import Final, TypeAlias

Code: TypeAlias = tuple[str, str]
"""The name of a module, and of a function in it, as its code has it."""

PROXY: Final[Code] = ("uvicorn.middleware.proxy_headers", "ProxyHeadersMiddleware.__call__")
STARLETTE: Final[Code] = ("starlette.applications", "Starlette.__call__")
FASTAPI: Final[Code] = ("fastapi.applications", "FastAPI.__call__")

HARMLESS: Final = frozenset(
    (
        # Answers what the application raises.
        ("starlette.middleware.errors", "ServerErrorMiddleware.__call__"),
        ("fastapi.telemetry._asgi", "ExceptionTelemetryMiddleware.__call__"),
        # Count the content of a request, and a plain hit has none.
        ("starlette.middleware.body_limit", "RequestBodyLimitMiddleware.__call__"),
        ("fastapi._body_limit", "AppBodyLimitMiddleware.__call__"),
        ("fastapi._body_limit", "_BodyLimitExceptionMiddleware.__call__"),
    )
)
"""All but the applications themselves and what changes the scope."""
