"""Outputs without what differs from run to run."""

import re

_DIFFERING = [
    (r"date: \w+, \d+ \w+ \d+ [\d:]+ GMT", "date: DATE"),
    (r'etag: "\w+"', "etag: ETAG"),
    (r"^age: \d+$", "age: SECONDS"),
    (r"(hit|stored); ttl=\d+", r"\1; ttl=SECONDS"),
    (r"^\d+\.\d+ s$", "SECONDS s"),
    (r"process \[\d+\]", "process [PID]"),
    (r"Shop-shop-\w+", "Shop-shop-DIRECTORY"),
    (r"record \d+ of \w+", "record RECORD"),
    (r"in \d+ ms", "in N ms"),
    (r"passed in [\d.]+s", "passed in N s"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"'127\.0\.0\.1', \d+", "ADDRESS"),
    (r"\[Errno \d+\]", "[Errno NUMBER]"),
    (r"Error \d+ connecting", "Error NUMBER connecting"),
]
"""What differs, and what stands for it. All else in an output is as the page shows it."""


def alike(text: str) -> list[str]:
    """The lines of an output, with a word for each part that differs from run to run."""
    for differing, word in _DIFFERING:
        text = re.sub(differing, word, text, flags=re.MULTILINE)
    return text.splitlines()


def without_slowness(said: str) -> str:
    """What a server says at start, without the line that a busy machine adds to it."""
    lines = said.splitlines(keepends=True)
    return "".join(line for line in lines if ": not up to date after " not in line)


def has(said: str, shown: str) -> bool:
    """Whether an output has the lines that a page shows, one after the other."""
    lines, wanted = alike(said), alike(shown)
    places = range(len(lines) - len(wanted) + 1)
    return any(lines[place : place + len(wanted)] == wanted for place in places)
