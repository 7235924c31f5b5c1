"""`python -m demo_app`: one instance, in memory only unless `--redis-url` is given."""

import argparse
import importlib
import os
import secrets
import socket
from collections.abc import Sequence

import uvicorn
from starlette.applications import Starlette

from .ports import address_of, listen
from .settings import FRAMEWORKS, Settings

DEFAULT_PORT = 8000
TOKEN = "ASGI_MULTITIER_ADMIN_TOKEN"
"""The variable with the operators' token: the launcher sets it, the command line tool reads it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve one instance until SIGINT or SIGTERM.

    Args:
        arguments: The command line; the process's own by default.
    """
    options = _parser().parse_args(arguments)
    listening = _listening(options)
    address = address_of(listening)
    token = os.environ.get(TOKEN) or secrets.token_urlsafe(32)
    settings = Settings(
        framework=options.framework,
        name=options.name,
        redis_url=options.redis_url,
        database=options.database,
        pages=options.page,
        token=token,
    )
    tiers = "memory only" if settings.redis_url is None else "memory and Redis"
    print(f"{settings.name}  {address}  ({settings.framework}, {tiers})")
    print(f"The cache: {address}/_cache/ with the token {token}", flush=True)
    serve(create_app(settings), listening)


def create_app(settings: Settings) -> Starlette:
    """The application, in the framework of the settings.

    The other one is not imported: the cache would warn that its annotations belong to no route.
    """
    module = importlib.import_module(f".{settings.framework}_app", __package__)
    app: Starlette = module.create_app(settings)
    return app


def serve(app: Starlette, listening: socket.socket) -> None:
    """Serve an application on a socket until SIGINT or SIGTERM."""
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listening])


def _listening(options: argparse.Namespace) -> socket.socket:
    """The socket inherited from the launcher, or a new one."""
    if options.fd is not None:
        return socket.socket(fileno=options.fd)
    if options.port is not None:
        return listen(options.port)
    return listen(DEFAULT_PORT, or_any=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo_app", description=__doc__)
    parser.add_argument(
        "--port", type=int, help=f"port; by default {DEFAULT_PORT}, or any free port"
    )
    parser.add_argument("--fd", type=int, help="listening socket inherited from a launcher")
    parser.add_argument("--framework", choices=FRAMEWORKS, default="fastapi")
    parser.add_argument("--name", default="A", help="what the page calls this instance")
    parser.add_argument("--redis-url", help="address of the shared tier; memory only by default")
    parser.add_argument("--database", default=":memory:", help="the catalogue's SQLite file")
    parser.add_argument(
        "--page", action="append", default=[], help="origin of a page that may read the answers"
    )
    return parser


if __name__ == "__main__":
    main()
