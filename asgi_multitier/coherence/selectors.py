"""The selectors of the log; they stand lower down, since annotations and rules use them too."""

from ..selectors import (
    MAX_GLOB_LENGTH,
    MAX_GLOB_STARS,
    MAX_TEXT,
    Kind,
    Selector,
    check_glob,
    glob_matches,
)

__all__ = [
    "MAX_GLOB_LENGTH",
    "MAX_GLOB_STARS",
    "MAX_TEXT",
    "Kind",
    "Selector",
    "check_glob",
    "glob_matches",
]
