"""Whether the server is about to stop: a stream that went on would keep it from that.

ASGI does not say so: a server waits until its connections have ended. uvicorn's handler of signals
is a method of the server, which knows.
"""

import signal

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def is_stopping() -> bool:
    """Whether a server of this process that handles signals has been told to stop."""
    handlers = map(signal.getsignal, _SIGNALS)
    servers = [getattr(handler, "__self__", None) for handler in handlers]
    return any(getattr(server, "should_exit", False) is True for server in servers)
