"""Arguments that more than one option has. Pure."""

import math
from argparse import ArgumentTypeError


def seconds(text: str) -> float:
    """A duration that is written on the command line.

    Raises:
        ArgumentTypeError: If it is no number, negative, or has no end.
    """
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise ArgumentTypeError(f"{text!r} is not allowed; expected seconds from 0")
    return found
