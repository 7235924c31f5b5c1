"""What is odd about the order of layers: a layer inside of the cache sees no hit."""

from collections.abc import Iterator, Sequence
from typing import Final

from .findings import Finding

_COUNTING: Final = (
    "prometheus",
    "metrics",
    "opentelemetry",
    "statsd",
    "sentryasgi",
    "accesslog",
    "requestid",
    "correlationid",
)
"""In the lower-case names of layers that count, trace or log each request."""

_CORS: Final = "cors"
_HOSTS: Final = ("trustedhost", "httpsredirect")


def order_of(outside: Sequence[str], inside: Sequence[str]) -> Iterator[Finding]:
    """What is odd about the order of layers.

    Args:
        outside, inside: The classes of the layers outside of the cache and inside of it.
    """
    for name in inside:
        low = name.lower()
        if any(word in low for word in _COUNTING):
            yield Finding.of(
                "W6",
                "",
                f"{name} stands inside of the cache: it sees no hit",
                f"Add {name} after CacheMiddleware, so that it stands outside",
            )
        elif _CORS in low:
            yield Finding.of(
                "I4",
                "",
                f"{name} stands inside of the cache: requests with Origin have copies of their own",
                f"Add {name} after CacheMiddleware, so that it stands outside",
            )
        elif any(word in low for word in _HOSTS):
            yield Finding.of(
                "I4",
                "",
                f"{name} stands inside of the cache: hosts are checked for misses alone, each with"
                " entries of its own",
                f"Add {name} after CacheMiddleware, so that it stands outside",
            )
    for name in outside:
        if "gzip" in name.lower() or "brotli" in name.lower():
            yield Finding.of(
                "I4",
                "",
                f"{name} stands outside of the cache: it compresses each hit again",
                "Write compress= on the routes, which compresses once, and remove it",
            )
