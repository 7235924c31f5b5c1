"""Requests that the application answers unchanged, while the cache notes what it would have done.

- `shadow`: one request, from the middleware to the application.
"""

from .shadow import Runner, Shadow

__all__ = ["Runner", "Shadow"]
