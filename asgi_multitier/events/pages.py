"""Addresses of the documentation: where a message sends a reader who has nothing but the wheel."""

from typing import Final

SITE: Final = "https://asgi-multitier.readthedocs.io/"
"""Where the documentation is."""


def page(place: str) -> str:
    """The address of a page, and of a heading in it.

    Args:
        place: The page's path below `docs/`, such as `guides/redis.md#memory`.
    """
    path, mark, heading = place.partition("#")
    return f"{SITE}{path.removesuffix('.md')}/{mark}{heading}"
