"""The application that a command looks at: it is imported, and nothing of it runs."""

import os
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from ..manager.identity.loading import load
from .exits import CommandError, Exit


def add_application(parser: ArgumentParser) -> None:
    """The arguments that name it."""
    parser.add_argument("app", metavar="MODULE:ATTRIBUTE", help="the application, such as shop:app")
    parser.add_argument(
        "--factory",
        action="store_true",
        help="MODULE:ATTRIBUTE is a function without arguments that returns the application",
    )


def application_of(given: Namespace, where: str) -> Any:
    """The application.

    Args:
        given: The arguments.
        where: The command, for errors.

    Raises:
        ConfigError: If there is no such module or attribute.
        CommandError: If the factory raises.
    """
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)  # as a server does, whose application lies where it is started
    app = load(given.app, where=where)
    if not given.factory:
        return app
    try:
        return app()
    except Exception as error:
        what = f"the factory raised {type(error).__name__}: {error}"
        raise CommandError(Exit.USAGE, what) from error
