"""The same small shop in each framework: one module each, which needs nothing but its framework.

Each module has `build(cache)`, which makes the application without the middleware (its handlers
may drop tags of that cache by hand), `PACKAGES`, whose versions are told, and `LACKS`: expectations
that do not apply to it, and why. It may have `add_cache(app, cache)` where the framework has a
place of its own for the middleware; elsewhere the middleware is put around it.

The routes of the shop, of which `tests.compat.shop` says what they do:

    GET /items/{id}    cached, with tags        GET /stream      three parts, the last after a gate
    PUT /items/{id}    drops its own URL        GET /background  works on after its response
    PUT /tags/{tag}    drops a tag              GET /file        a file, by the framework's means
    GET /slow          waits for a gate         GET /error       raises
    GET /cookie        sets a cookie            GET /missing/{id}  404 by the framework's means
    POST /echo         gives its content back   /socket          a websocket that echoes
"""
