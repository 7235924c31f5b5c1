"""The name of an application, by which processes share a cache or do not.

- `application`: what an application shows of itself. `program`: what the running program shows.
- `loading`: an application found by its name or by its manager.
- `names`: which names tell applications apart, and how a name is written.
"""
