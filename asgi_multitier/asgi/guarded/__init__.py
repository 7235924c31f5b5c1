"""Guarded routes: on every request the framework checks first, and only then is the cache asked.

The function around an endpoint (`routing.guarded`) calls `exchange`, in the middle of the
framework; what leaves the application passes `exchange` or `leaving`, at its edge. Between them lie
the layers of the application, which see each request and each response once, on a hit as on a miss.

    exchange    one request: let in, looked up; a plain hit from its look-up to its client
    replay      what is prepared of a stored response, so that a plain hit builds nothing
    miss        the rest: what is stored elsewhere or stale, a run, a wait for one
    origin      the endpoint as the origin of a run: called in its own request, kept when sent
    sink        what the story of a request says, for the framework to send
    made        a response of the framework, of what an endpoint returns or of what is stored
    naming      key, name and tags of the answer
    watched     what an endpoint reads of a request, where its answer is to be the same for all
    leaving     validators, ranges and `Cache-Status` of what leaves
"""

from .exchange import GuardedExchange

__all__ = ["GuardedExchange"]
