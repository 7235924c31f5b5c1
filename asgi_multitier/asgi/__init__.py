"""All that sees ASGI messages.

A request, from the top:
    middleware      the plain hit, and where every other scope goes
    admission       whether a request meets the cache: its fields, the callables of its rule
    in_front        the door of a server's protocol, which asks before there is a scope
    hits            what answers a request at once, for both doors
    selecting       what of a request that is not plain selects its response
    shared_hit      a plain hit of a shared tier
    exchange        uses what is stored
    representation  in which content coding
    lookup          what the tiers have for a request
    forwarding      waits for a run of the application, leads one, or asks alone
    leading         how the request that leads a run waits for it
    fill/           one run of the application: the question, the response, what is kept
    capture         the application's channel in a run; `client` and `receiving` are its two ends
    unsafe          what an unsafe request invalidates; `post_caching` keeps the answer to a POST

What they work with:
    plan, plans     what holds for a target; `two_generation_cache` remembers it
    request         one request, its key (`request_key`) and its names
    entries         from what is known before a run to the entry that is stored
    replay, replies from a stored response to messages; `sending` has wrappers of `send`
    lifespan        naming, checks, start and stop
    layers/         what the layers around the cache bring into a request
    framework       the few places where a framework is asked for something
    own_client      asks as a client would, in this process; `sample` notes what clients ask for
    read_your_writes the cookie that carries a client's position in the log
"""
