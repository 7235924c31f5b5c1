"""Listening sockets, bound before any server starts: nobody can take the port in between."""

import socket

HOST = "127.0.0.1"


def listen(port: int, *, or_any: bool = False) -> socket.socket:
    """A listening socket on the loopback address.

    Args:
        port: The port wanted; 0 takes any that is free.
        or_any: Whether to take any free port where the one wanted is taken.

    Raises:
        OSError: If the port is taken and no other will do.
    """
    server = socket.socket()
    try:
        # A port that was in use a moment ago can be had again at once.
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
    """The address of a listening socket, as a browser takes it."""
    host, port = server.getsockname()
    return f"http://{host}:{port}"
