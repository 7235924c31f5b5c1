"""Which rule holds for a request.

- `annotations`: `@cached`, `@invalidates`, `@no_cache`, and the annotations that they leave.
- `guarded`, `changed`: functions around endpoints whose arguments are needed; `endpoints` has what
  they share, `arguments` fills templates from arguments.
- `table`: finds the rule of a request; compares the endpoint that the router chose afterwards.
- `resolved`: the rule that was found, and the tags and the name that its templates make.
- `selection`: which responses a route's name or a success of a route means.
- `application`: the routes as they were last read, and when they are read again.
- `checks`: what is wrong with annotations and rules, said at start-up.
- `routes`: the tree of routes, and which of them the router will choose.
- `reading`: makes the tree; it uses `foreign` (the routes of any application), `overrides`
  (replaced dependencies), `parameters` (declared parameters), `security` (what a route reads
  besides its URL) and `wire` (under which names).
- `frameworks`: routes of Litestar, Quart, Django and Falcon, chosen by their own routers.
- `globs`: what a rule's glob and a route's template have in common.
- `layers`: attributes and wrapped applications, read without exceptions.
"""

from .annotations import cached, invalidates, no_cache
from .resolved import Resolved
from .table import RouteTable

__all__ = ["Resolved", "RouteTable", "cached", "invalidates", "no_cache"]
