"""An example application: a product catalogue with a slow source, cached by `asgi-multitier`.

Read in this order: `catalogue` (the data), `source` (the slow queries), `caching` (all annotations
in one table), then `fastapi_app` or `starlette_app` (the same routes in either framework). What
`make demo` starts is `fleet`: two instances, their server, and the page in `page`.
"""
