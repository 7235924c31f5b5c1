"""Listening sockets, bound before a server starts, so that the port cannot be taken in between."""

import socket

HOST = "127.0.0.1"


def listen(port: int, *, or_any: bool = False) -> socket.socket:
    """A listening socket on the loopback address.

    Args:
        port: The preferred port; 0 for any free port.
        or_any: Whether to use any free port if the preferred one is taken.

    Raises:
        OSError: If the port is taken and `or_any` is false.
    """
    server = socket.socket()
    try:
        # A port that was used a moment ago can be bound again at once.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, port))
        server.listen(512)
    except OSError:
        server.close()
        if or_any and port:
            return listen(0)
        raise
    return server


def address_of(server: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = server.getsockname()
    return f"http://{host}:{port}"


def origins_of(server: socket.socket) -> tuple[str, str]:
    """The origins of a page on a listening socket: people write `localhost` too."""
    address = address_of(server)
    return address, address.replace(HOST, "localhost")
