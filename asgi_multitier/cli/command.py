"""What a subcommand is."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from .exits import Exit
from .output import Output


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand of `asgi-multitier`.

    Attributes:
        name: What is written on the command line.
        summary: One line for the list of commands.
        arguments: Adds the command's own arguments to its parser.
        run: Does it. May raise `CommandError`; a `ConfigError` is an error of usage.
    """

    name: str
    summary: str
    arguments: Callable[[ArgumentParser], object]
    run: Callable[[Namespace, Output], Coroutine[Any, Any, Exit]]
