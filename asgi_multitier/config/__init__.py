"""What a user may set.

- `policy`: `Policy`, what holds for the responses of a route.
- `rules`: `Rule`, a policy for paths; `Invalidations`, what a success of a route invalidates.
- `values`: the options of stored and computed values, as a policy.
- `templates`: texts such as `product:{id}`, filled from parameters.
- `process`: `CacheConfig`, the bounds of a process; `environment` reads them from a `.env` file.
- `invalidation`: `InvalidationConfig`, the names and lengths of the invalidation streams.
- `readers`: checks of single options.
"""
