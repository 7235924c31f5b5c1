"""The application that a command looks at: it is imported, and nothing of it runs."""

import ast
import inspect
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


def made_at(given: Namespace) -> str:
    """Where the application is made, as it is written for people; "" where that is not seen.

    Args:
        given: The arguments, of which the module has been imported.
    """
    module, _, name = given.app.partition(":")
    variable = name.partition(".")[0]
    try:
        source = inspect.getsource(sys.modules[module])
        file = inspect.getsourcefile(sys.modules[module]) or ""
        lines = [node.end_lineno or 0 for node in ast.parse(source).body if _makes(node, variable)]
    except (KeyError, OSError, TypeError, SyntaxError):
        return ""
    return f"{shortened(file)}:{lines[-1]}" if lines else ""


def _makes(node: ast.stmt, name: str) -> bool:
    """Whether a statement of a module gives a name its value: an assignment, or a factory."""
    if isinstance(node, ast.FunctionDef):
        return node.name == name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def shortened(place: str) -> str:
    """A place in a file, as short as it can be said from the working directory."""
    return place.removeprefix(os.path.join(os.path.realpath(os.getcwd()), ""))
