"""How often one client may fail to say who it is."""

import ipaddress
from collections import OrderedDict

from .._types import Clock

MAX_FAILURES = 10
"""Failures of one client within `WINDOW`."""

WINDOW = 60.0
"""Seconds."""

MAX_CLIENTS = 4_096
"""Clients that are remembered; then the one that began longest ago is forgotten."""


class Failures:
    """The failures of each client, by the address that the server gives.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._clients)

    def left(self, client: str) -> float:
        """Seconds until the client may fail again; 0 if it may now."""
        began, count = self._clients.get(_group(client), (0.0, 0))
        until = began + WINDOW
        return max(0.0, until - self._clock()) if count >= MAX_FAILURES else 0.0

    def add(self, client: str) -> None:
        """The client has failed."""
        name, now = _group(client), self._clock()
        began, count = self._clients.get(name, (now, 0))
        if now - began >= WINDOW:
            began, count = now, 0
            self._clients.pop(name, None)
        self._clients[name] = began, count + 1
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)


def _group(client: str) -> str:
    """The address, or of IPv6 the network of which one client has all addresses."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client[:64]
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
