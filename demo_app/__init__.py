"""A product catalogue with a slow source, cached by `asgi-multitier`: an application to learn from.

Read in this order: `catalogue` (the data), `source` (why a cache is wanted), `caching` (every
annotation, in one table), then `fastapi_app` or `starlette_app` (the same routes twice).
"""
