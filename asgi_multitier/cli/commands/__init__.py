"""The subcommands, a file each, in the order in which the help lists them."""

from ..command import Command

COMMANDS: tuple[Command, ...] = ()
