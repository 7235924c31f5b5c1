"""Requests that the application answers unchanged, while the cache notes what it would have done.

- `shadow`: one request, from the middleware to the application.
- `fingerprints`: digests in place of values.
- `traits`: what may have chosen an answer.
- `answers`, `places`: the content of an answer, and what stands where in it.
"""

from .shadow import Runner, Shadow

__all__ = ["Runner", "Shadow"]
