"""Names for shapes that come from elsewhere: ASGI messages, raw headers, clocks."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

Header: TypeAlias = tuple[bytes, bytes]
"""One field line: lower-case name and value, both as they stand in the ASGI message."""

Headers: TypeAlias = tuple[Header, ...]
"""Field lines in order, with duplicates. Never a dict: two `Set-Cookie` lines are two lines."""

Clock: TypeAlias = Callable[[], float]
"""A function that returns seconds: `time.monotonic` for lifetimes, `time.time` for HTTP dates."""
