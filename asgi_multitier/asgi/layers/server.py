"""The `Date` of a server and that of what it serves: one line, and the right one.

A stored response keeps the `Date` of its origin (RFC 9110 §6.6.1). uvicorn and hypercorn put one of
their own before all that an application sends, so a hit would leave with two. They have a switch,
which can be reached in time: with the lifespan. From then on every response of the application gets
its `Date` here, once, when it is made.
"""

from collections.abc import Callable
from functools import lru_cache

from ..._types import Message, Receive, Send
from ...policy.dates import DATE, format_http_date

_SWITCHES = ("date_header", "include_date_header")
"""What the setting is called by uvicorn and by hypercorn."""


def take_date(receive: Receive) -> bool:
    """Have the server leave `Date` to the application; whether it was the server's until now.

    Args:
        receive: The channel of the lifespan: of these servers, a method of who knows the settings.
    """
    config = getattr(getattr(receive, "__self__", None), "config", None)
    for switch in _SWITCHES:
        if getattr(config, switch, None) is True:
            setattr(config, switch, False)
            return True
    return False


def begin_in_front(receive: Receive) -> None:
    """Tell the server's protocol that the application starts, if it is one that asks the cache.

    Args:
        receive: As for `take_date`.
    """
    config = getattr(getattr(receive, "__self__", None), "config", None)
    begin = getattr(getattr(config, "http_protocol_class", None), "begin_in_front", None)
    if callable(begin):
        begin(config)


def dated(send: Send, wall: Callable[[], float]) -> Send:
    """A `send` that puts a `Date` into a response that has none.

    Args:
        send: Takes the messages.
        wall: Gives Unix seconds.
    """

    async def dating(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if not any(bytes(name).lower() == DATE for name, _ in headers):
                message = {**message, "headers": [*headers, (DATE, _date_of(int(wall())))]}
        await send(message)

    return dating


_date_of = lru_cache(4)(format_http_date)
