"""What may have chosen the answer to a request and is not in its key, as digests."""

from collections.abc import Container, Iterable, Iterator
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from ..._types import Header, Scope
from ...policy.headers import normalised
from ...policy.observed import may_choose
from ...policy.request import Field, Watch
from ...shadow import Traits
from ...shadow.observation import NAMELESS
from ..plan import Plan, raw_target
from ..two_generation_cache import TwoGenerationCache
from .fingerprints import Fingerprints

_MOST: Final = 64
"""Fields, cookies and parameters of one request that are told, each: clients choose them."""

READ: Final = 256
"""Cookies of one line, and parameters, that are looked at."""

_LONGEST: Final = 64
"""Characters of the longest name of a cookie or parameter."""

_REMEMBERED: Final = 1_024
"""Requests of which it is remembered what was found: the same clients ask again and again."""

_USER: Final = frozenset((Field.AUTHORIZATION, Field.CREDENTIALS))
_NAMES_OF_USERS: Final = ("identity", "id", "username", "display_name")
"""Attributes by which a user that a layer around the cache has found is told from others."""


class TraitsReader:
    """Reads the traits of requests.

    Args:
        fingerprints: Makes digests.
        watch: What request fields mean.
    """

    __slots__ = ("_digest", "_remembered", "_watch")

    def __init__(self, fingerprints: Fingerprints, watch: Watch) -> None:
        self._digest = fingerprints.of
        self._watch = watch
        # By a hash: what a client has sent is not kept.
        self._remembered: TwoGenerationCache[int, Traits] = TwoGenerationCache(
            _REMEMBERED, _REMEMBERED, lambda _: 1
        )

    def read(self, scope: Scope, plan: Plan) -> Traits:
        """The traits of one request.

        Args:
            scope: The request, as it came.
            plan: The plan of its target.
        """
        traits = self._of_fields(scope)
        query = self._query(scope, plan)
        if not query:
            return traits
        return Traits(traits.fields, traits.cookies, query, traits.client, traits.user)

    def _of_fields(self, scope: Scope) -> Traits:
        """All that does not depend on the target."""
        headers, address = scope["headers"], (scope.get("client") or ("",))[0]
        user = _user_of(scope)
        try:
            known = hash((*headers, address, user))
        except TypeError:  # pairs may be lists, and values views
            headers = normalised(headers)
            known = hash((*headers, address, user))
        remembered = self._remembered
        found = remembered.young.get(known) or remembered.recall(known)
        if found is None:
            found = self._read(normalised(headers), str(address), user)
            remembered.remember(known, found)
        return found

    def _read(self, headers: Iterable[Header], address: str, user: str) -> Traits:
        digest = self._digest
        lines: dict[bytes, list[bytes]] = {}
        cookies: dict[str, list[bytes]] = {}
        credentials: list[bytes] = [user.encode("utf-8", "surrogatepass")] if user else []
        for name, value in headers:
            meaning = self._meaning(name)
            if meaning is Field.COOKIE:
                for cookie, text in _cookies(value):
                    if cookie in cookies or len(cookies) < _MOST:
                        cookies.setdefault(cookie, []).append(text)
            elif may_choose(name) and (name in lines or len(lines) < _MOST):
                lines.setdefault(name, []).append(value)
            if meaning in _USER:
                credentials += (name, value)
        return Traits(
            fields={name: digest(_joined(values)) for name, values in lines.items()},
            cookies={name: digest(_joined(values)) for name, values in cookies.items()},
            client=digest(address.encode()) if address else 0,
            user=digest(_joined(credentials)) if credentials else 0,
        )

    def _meaning(self, name: bytes) -> Field | None:
        try:
            return self._watch.known[name]
        except KeyError:
            return self._watch.learn(name)

    def _query(self, scope: Scope, plan: Plan) -> dict[str, int]:
        """The parameters that the rule leaves out of the key."""
        allowed, raw = plan.policy.query, raw_target(scope)[1]
        if allowed is None or not raw:
            return {}
        parts = raw.split(b"&", READ)[:READ]
        values: dict[str, list[bytes]] = {}
        if bare := [
            part for part in parts if part and b"=" not in part and _left_out(part, allowed)
        ]:
            values[NAMELESS] = bare  # a value may stand there as well as a name
        named = b"&".join(part for part in parts if b"=" in part).decode("latin-1")
        for name, value in parse_qsl(named, keep_blank_values=True):
            if name in allowed or len(name) > _LONGEST:
                continue
            if name in values or len(values) < _MOST:
                values.setdefault(name, []).append(value.encode("utf-8", "surrogatepass"))
        return {name: self._digest(_joined(each)) for name, each in values.items()}


def _left_out(part: bytes, allowed: Container[str]) -> bool:
    return unquote_plus(part.decode("latin-1")) not in allowed


def _cookies(line: bytes) -> Iterator[tuple[str, bytes]]:
    for part in line.split(b";", READ)[:READ]:
        name, equals, value = part.strip().partition(b"=")
        if equals and name and len(name) <= _LONGEST:
            yield name.decode("latin-1"), value


def _joined(values: Iterable[bytes]) -> bytes:
    """Several values as one text, which no others make."""
    return b"".join(b"%d:%b" % (len(value), value) for value in values)


def _user_of(scope: Scope) -> str:
    """What tells a user from others whom a layer around the cache has found; "" for none."""
    user: Any = scope.get("user")
    if user is None:
        return ""
    if isinstance(user, str | int):
        return str(user)
    return next(filter(None, (_attribute(user, name) for name in _NAMES_OF_USERS)), "")


def _attribute(user: Any, name: str) -> str:
    """A text or number by which a user is told from others; "" for none."""
    try:
        found = user[name] if isinstance(user, dict) else getattr(user, name)
    except Exception:  # noqa: BLE001  # an object of a layer around the cache
        return ""
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
