"""The subcommands, a file each, in the order in which the help lists them."""

from ..command import Command
from . import (
    doctor,
    explain,
    init,
    instances,
    invalidate,
    keys,
    mode,
    report,
    routes,
    stats,
    tail,
    top,
    warm,
)

COMMANDS: tuple[Command, ...] = (
    init.COMMAND,
    stats.COMMAND,
    top.COMMAND,
    instances.COMMAND,
    explain.COMMAND,
    report.COMMAND,
    invalidate.COMMAND,
    keys.COMMAND,
    tail.COMMAND,
    doctor.COMMAND,
    warm.COMMAND,
    mode.COMMAND,
    routes.COMMAND,
)
