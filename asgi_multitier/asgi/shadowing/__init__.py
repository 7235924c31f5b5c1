"""Requests that the application answers unchanged, while the cache notes what it would have done.

- `shadow`: one request, from the middleware to the application.
- `fingerprints`: digests in place of values.
- `traits`: what may have chosen an answer.
- `answers`, `places`: the content of an answer, and what stands where in it.
- `observer`: what is noted of requests, from their arrival to what the ledger is told.
- `exchange`: one request and its answer, as they pass.
- `meeting`, `storing`, `store`: what the cache would have found, stored and held.
- `verdicts`: whether a difference counts.
- `later`, `budget`, `curiosity`: when work is done, of how many targets, and the longest of it.
"""

from .shadow import Runner, Shadow

__all__ = ["Runner", "Shadow"]
