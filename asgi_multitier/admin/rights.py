"""Who may ask for what."""

import hmac
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Literal, TypeAlias

from .._types import Clock, Headers, Scope
from ..policy.headers import values
from .failures import MAX_FAILURES, WINDOW, Failures
from .hosts import Hosts, only_host
from .replies import Refusal, again_in

Right: TypeAlias = Literal["viewer", "operator"]
"""A viewer may look; an operator may change something, and see what is left out for viewers."""

Authorize: TypeAlias = Callable[[Scope], "Right | Awaitable[Right | None] | None"]

_CHALLENGE: Headers = ((b"www-authenticate", b"Bearer"),)


_MISSING = "send a token as Authorization: Bearer ..."
_WRONG = "what Authorization has is not a token of this application"


class Rights:
    """Tells what a request may do.

    A token counts in one `Authorization` line alone. Who has one is never refused because of the
    failures of others at the same address, as behind a proxy: a token cannot be guessed, which is
    why `authorize` alone is not asked while a client has failed too often.

    Args:
        operator: What `Authorization` has to be for an operator; None for no such token.
        viewer: The same for a viewer.
        authorize: Says what a request may do that has no token; None for nothing.
        hosts: The names that are allowed; None: any where there is a token, those of this machine's
            own loopback where `authorize` decides.
        broken: Is told what `authorize` raises.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        operator: bytes | None,
        viewer: bytes | None,
        authorize: Authorize | None,
        hosts: Hosts | None,
        broken: Callable[[Exception], None],
        clock: Clock,
    ) -> None:
        self._tokens: tuple[tuple[bytes | None, Right], ...] = (
            (operator, "operator"),
            (viewer, "viewer"),
        )
        self._authorize = authorize
        self._hosts = hosts
        self._broken = broken
        self.failures: Failures = Failures(clock)

    @property
    def exist(self) -> bool:
        """Whether anyone may ask at all."""
        return self._authorize is not None or any(token for token, _ in self._tokens)

    def check_host(self, headers: Headers) -> None:
        """Refuse names that are not allowed.

        Raises:
            Refusal: 421.
        """
        if self._hosts is not None:
            _check_host(self._hosts, headers)

    async def of(self, scope: Scope) -> Right:
        """What a request may do.

        Raises:
            Refusal: 401 if nothing; 421 if it is for another host; 429 if its client has failed too
                often.
        """
        headers = scope["headers"]
        self.check_host(headers)
        right = self._by_token(headers)
        if right is None:
            client = client_of(scope)
            if (left := self.failures.left(client)) > 0:
                raise _too_often(left)
            right = await self._asked(scope)
            if right is None:
                self.failures.add(client)
                given = values(headers, b"authorization")
                raise Refusal(401, _WRONG if given else _MISSING, _CHALLENGE)
        return right

    def _by_token(self, headers: Headers) -> Right | None:
        lines = values(headers, b"authorization")
        given = _normal(lines[0]) if len(lines) == 1 else b""
        found: Right | None = None
        for token, right in self._tokens:  # all of them, in any case
            if token is not None and hmac.compare_digest(given, token):
                found = right
        return found

    async def _asked(self, scope: Scope) -> Right | None:
        if self._authorize is None:
            return None
        if self._hosts is None:
            # Nothing in the request shows that its page may know what is here.
            _check_host(_LOOPBACK, scope["headers"])
        try:
            right = self._authorize(dict(scope))
            if isawaitable(right):
                right = await right
            if right not in ("viewer", "operator", None):
                raise TypeError(f"it returned a {type(right).__name__}")
        except Exception as error:  # noqa: BLE001  # a callable of the user; the request is refused
            self._broken(error)
            return None
        return right


_LOOPBACK = Hosts(())


def client_of(scope: Scope) -> str:
    """The client's address, as the server says; "" where it does not."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _check_host(hosts: Hosts, headers: Headers) -> None:
    host = only_host(headers)
    if host is None or not hosts.allow(host):
        raise Refusal(421, "this Host is not allowed; name it in hosts= of CacheManager.admin")


def _normal(line: bytes) -> bytes:
    """The value with the scheme's name as it is usually written (RFC 9110 §11.1)."""
    scheme, _, rest = line.partition(b" ")
    return b"Bearer " + rest if scheme.lower() == b"bearer" else line


def _too_often(left: float) -> Refusal:
    detail = f"{MAX_FAILURES} requests without a right within {WINDOW:g} s; wait"
    return Refusal(429, detail, again_in(left))
