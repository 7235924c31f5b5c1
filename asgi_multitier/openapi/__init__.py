"""What an OpenAPI document says of a cache: which operations are cached, and what drops them.

- `wrapping`: the application's `openapi`, with that added to what it returns.
- `documented`: a document with that added, by the rules that hold.
- `operations`: which route of the application each operation of a document is.
- `stated`: what is said of one operation.
"""

from .documented import Extent
from .wrapping import Found, describe

__all__ = ["Extent", "Found", "describe"]
