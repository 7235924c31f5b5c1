"""The rules of HTTP caching as pure functions: values and a time in, a decision out.

The request:

- `request`: the fields that matter to a cache, and what keeps a request from it.
- `credentials`: which field names identify the user; `cookies`: which cookies count.
- `key`, `partition`, `vary`: what separates one stored response from another.

The response:

- `storing`: whether it may be stored, on the `terms` of a rule.
- `personal`: fields that are for the client of one exchange.
- `downstream`: what caches between this one and the client are told.
- `invalidation`: which URLs and groups a success invalidates.

The stored response:

- `reuse`: whether it answers a request; `freshness`: its age and its lifetime.
- `validation`: 304 responses, and conditional requests to the origin.
- `ranges`: byte ranges.

What all of them use: `headers` (lists of field lines), `cache_control`, `dates`, `status_codes`,
`cache_status` (the response field; `status_field` reads it) and `reasons`.
"""
