"""Reading the arguments, running a command, and ending with its code."""

import asyncio
import os
import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Sequence

from .._about import __version__
from ..errors import ConfigError
from .command import Command
from .commands import COMMANDS
from .exits import CommandError, Exit
from .output import Output, wants_color

_STRANGE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What comes of answers of another shape."""

_RELEASE = "check that the address is that of this cache, and that both are of the same release"


def _common(*, inner: bool) -> ArgumentParser:
    """The options that stand before or after the name of a command."""
    missing = SUPPRESS if inner else False
    parser = ArgumentParser(add_help=False)
    parser.add_argument(
        "--json", dest="as_json", action="store_true", default=missing, help="write JSON"
    )
    parser.add_argument(
        "--no-color",
        action="store_true",
        default=missing,
        help="write text without colours, as with NO_COLOR in the environment",
    )
    return parser


def parser_of(commands: Sequence[Command]) -> ArgumentParser:
    """The parser of the whole command line."""
    parser = ArgumentParser(
        prog="asgi-multitier",
        description="Look at a cache of asgi-multitier, and steer it.",
        parents=[_common(inner=False)],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    listed = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in commands:
        command.arguments(
            listed.add_parser(
                command.name,
                help=command.summary,
                description=command.summary,
                parents=[_common(inner=True)],
                allow_abbrev=False,
            )
        )
    return parser


def main(arguments: Sequence[str] | None = None, commands: Sequence[Command] = COMMANDS) -> int:
    """Run a command.

    Args:
        arguments: What follows the program's name; None for those of this process.
        commands: The subcommands that exist.

    Returns:
        The exit code; see `Exit`.
    """
    try:
        given = parser_of(commands).parse_args(arguments)
    except SystemExit as end:  # argparse has written the help, or what is wrong
        return Exit.USAGE if end.code else Exit.OK
    color = not given.no_color and wants_color(sys.stdout)
    output = Output(sys.stdout, sys.stderr, as_json=given.as_json, color=color)
    command = next(one for one in commands if one.name == given.command)
    try:
        _check_text(sys.argv[1:] if arguments is None else arguments)
        return asyncio.run(command.run(given, output))
    except CommandError as error:
        _tell(output, error)
        return error.exit
    except ConfigError as error:
        _tell(output, CommandError(Exit.USAGE, str(error)))
        return Exit.USAGE
    except _STRANGE as error:
        if "url" not in given:
            raise  # it has asked nothing, so the failure is its own
        what = f"the answer cannot be read: {type(error).__name__}: {error}"
        _tell(output, CommandError(Exit.UNREACHABLE, what, _RELEASE))
        return Exit.UNREACHABLE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.PIPE


def _check_text(arguments: Sequence[str]) -> None:
    """Refuse arguments whose bytes are no text: they cannot be sent.

    Raises:
        CommandError: If there is one.
    """
    if any("\ud800" <= character <= "\udfff" for text in arguments for character in text):
        raise CommandError(Exit.USAGE, "an argument is no UTF-8")


def _tell(output: Output, error: CommandError) -> None:
    """Say what failed and what to do: on standard error, and as JSON where that is wanted."""
    output.json({"error": str(error), "remedy": error.remedy, "exit": int(error.exit)})
    output.note(f"asgi-multitier: {error}")
    if error.remedy:
        output.note(f"  {error.remedy}")
