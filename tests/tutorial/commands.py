"""The command line, run in this process: each process of its own would import everything again."""

import io
import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from asgi_multitier.cli.main import main


def run(words: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of a command, and what it writes.

    Args:
        words: What follows `asgi-multitier`.
        environment: The variables that it sees, and no others.
    """
    said = io.StringIO()
    with (
        patch.dict(os.environ, environment, clear=True),
        redirect_stdout(said),
        redirect_stderr(said),
    ):
        code = main(words)
    return code, said.getvalue()
