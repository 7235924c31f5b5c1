"""Guarded endpoints: the framework checks each request, and only then is the cache asked.

The function around the endpoint runs once its dependencies and decorators have let the request
pass. What answers then is put into the request's scope by the middleware: a folder further down
knows it, this one does not. The scope is the request's own; a context would reach whatever the
request calls, and the tasks that it leaves.
"""

from collections.abc import Callable
from typing import Any, Protocol

from ..config.policy import Policy
from .endpoints import Call, around, call_of, refuse_wrapped


class Guarded(Protocol):
    """One request of a guarded route, as the function around its endpoint sees it."""

    def takes(self, policy: Policy, call: Call) -> bool:
        """Whether it waits for this endpoint's call, the first one; a later call is another's."""

    def stored(self, call: Call) -> Any:
        """The response of a plain hit; None if it is none."""

    async def answer(self, call: Call) -> Any:
        """The response where it is no plain hit: of another run, or what the endpoint returns."""


GUARDED_KEY = "asgi_multitier.guarded"
"""The key of what answers, in the scope of a request of a guarded route."""


def guarded(endpoint: Callable[..., Any], policy: Policy, *, where: str) -> Any:
    """Put the cache between an endpoint and what checks its requests.

    Args:
        endpoint: A function; it may block.
        policy: Its policy.
        where: The decorator and the endpoint, for errors.

    Raises:
        ConfigError: If something below the mark would be skipped by a hit.
    """
    refuse_wrapped(endpoint, where=where)

    async def around_endpoint(*args: Any, **kwargs: Any) -> Any:
        call = call_of(endpoint, args, kwargs)
        asked = call.request
        request: Guarded | None = None if asked is None else asked.scope.get(GUARDED_KEY)
        if request is None or not request.takes(policy, call):
            return await call.run()
        hit = request.stored(call)
        return await request.answer(call) if hit is None else hit

    return around(endpoint, around_endpoint, asks=True)
