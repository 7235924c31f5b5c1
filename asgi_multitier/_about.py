"""What the package says of itself: its version, and where it is published."""

__version__ = "0.1.0"
"""The release. The only place where it stands: builds and all others read it here."""

REPOSITORY = "https://github.com/asgi-multitier/asgi-multitier"
DOCUMENTATION = "https://asgi-multitier.readthedocs.io/"


def page(place: str) -> str:
    """The address of a page of the documentation, for a reader who has nothing but the wheel.

    Args:
        place: The page's path below `docs/`, and a heading in it: `guides/redis.md#memory`.
    """
    path, mark, heading = place.partition("#")
    return f"{DOCUMENTATION}{path.removesuffix('.md')}/{mark}{heading}"
