"""What a route declares to read besides its URL: a hit runs no dependency, so none is checked."""

import functools
import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from ..config.policy import Policy
from ..policy.credentials import folded, identifies_user
from .wire import names_read, reads_all

Place = Literal["header", "cookie", "query", "unknown", "all", "value"]
_PLACES: tuple[Place, ...] = ("header", "cookie", "query")


class Need(msgspec.Struct, frozen=True):
    """One thing that a route reads from the request, such as a credential.

    Attributes:
        what: Its name in messages.
        place: Where it is; "all" if the route reads every header; "value" for an argument of the
            endpoint that a dependency makes of what may be a credential.
        name: Its name there; lower-case for a header.
        credential: Whether it says who asks: the guard of a guarded route checks that.
    """

    what: str
    place: Place
    name: str
    credential: bool = False

    def is_keyed(self, policy: Policy) -> bool:
        """Whether two requests that differ in it get copies of their own, or need none."""
        if policy.public or policy.vary_by is not None:
            return True
        if self.place == "value":
            return policy.guarded is not True
        if self.credential and policy.guarded:
            return True
        if self.place == "header":
            name = self.name.encode("latin-1")
            return name in policy.vary or name in policy.settled
        if self.place == "cookie":
            return self.name in policy.cookies or b"cookie" in policy.vary
        if self.place == "query":
            return policy.query is None or self.name in policy.query
        return self.place == "unknown" and policy.separates_users


def needs_of(dependant: Any) -> tuple[Need, ...]:
    """The security schemes, declared headers and cookies anywhere in a dependency tree.

    Args:
        dependant: FastAPI's description of a route, which has the dependencies of its routers and
            of the application too; None for any other route.
    """
    if dependant is None:
        return ()
    return tuple(dict.fromkeys((*_found(dependant), *_values(dependant))))


def _values(dependant: Any) -> Iterator[Need]:
    """The endpoint's arguments that may say who asks."""
    for inner in dependant.dependencies:
        name = getattr(inner, "name", None)
        if name and (source := _source(inner)) is not None:
            yield Need(f"the argument {name}, which a dependency makes of {source}", "value", name)
    for need in _declared(dependant):
        if need.credential:
            yield Need(f"the argument that {need.what} is", "value", need.name)


def _source(dependant: Any) -> str | None:
    """What in a dependency, or below it, may read a credential."""
    for need in _own(dependant):
        if need.credential:
            return need.what
    reads = getattr(dependant, "request_param_name", None) or getattr(
        dependant, "http_connection_param_name", None
    )
    if reads and getattr(dependant.call, "__module__", "") != _OWN_DEPENDENCY:
        return "the request"
    return next((found for inner in dependant.dependencies if (found := _source(inner))), None)


_OWN_DEPENDENCY = "asgi_multitier.fastapi"
"""What it gives the endpoint is the manager."""


def unkeyed(policy: Policy, needs: Sequence[Need]) -> Need | None:
    """The first need that a policy's key does not cover."""
    return next((need for need in needs if not need.is_keyed(policy)), None)


def remedy(policy: Policy, needs: Sequence[Need]) -> str:
    """The options that put all needs into the key, as a user writes them."""
    missing = [need for need in needs if not need.is_keyed(policy)]
    names = {place: [need.name for need in missing if need.place == place] for place in _PLACES}
    if any(need.place == "all" for need in missing):
        return "here neither would do, as it reads every header"
    ways = []
    if names["header"]:
        ways.append(f"vary={_joined([name.decode() for name in policy.vary], names['header'])}")
    if names["cookie"] and "cookie" not in names["header"]:
        ways.append(f"cookies={_joined(policy.cookies, names['cookie'])}")
    if names["query"]:
        ways.append(f"query={_joined(policy.query or (), names['query'])}")
    return f"here {' and '.join(ways)}" if ways else "whatever it reads"


def _joined(present: Iterable[str], missing: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*present, *missing)))


def _found(dependant: Any) -> Iterator[Need]:
    yield from _own(dependant)
    for inner in dependant.dependencies:
        yield from _found(inner)


def _own(dependant: Any) -> Iterator[Need]:
    """What the function itself reads, without its dependencies."""
    yield from _declared(dependant)
    call = getattr(dependant, "call", None)
    if _is_scheme(call):
        yield _need_of(_unwrapped(call))
    for requirement in getattr(dependant, "security_requirements", None) or ():
        yield _need_of(requirement.security_scheme)


def _declared(dependant: Any) -> Iterator[Need]:
    """The headers and cookies that the function itself declares."""
    for name in names_read(dependant.header_params, headers=True):
        yield header_need(name)
    for name in names_read(dependant.cookie_params, headers=False):
        yield cookie_need(name)
    for field in dependant.header_params:
        if reads_all(field):
            yield all_headers_need(field.name)
    for field in dependant.cookie_params:
        if reads_all(field):
            yield all_cookies_need(field.name)


def header_need(name: str) -> Need:
    """A header that a route declares."""
    return Need(f"the header {name}", "header", name.lower(), _is_credential(name))


def cookie_need(name: str) -> Need:
    """A cookie that a route declares."""
    return Need(f"the cookie {name}", "cookie", name, _is_credential(name))


def all_headers_need(argument: str) -> Need:
    """Every header, in an argument of this name."""
    return Need(f"all headers ({argument})", "all", "")


def all_cookies_need(argument: str) -> Need:
    """Every cookie, in an argument of this name."""
    return Need(f"all cookies ({argument})", "header", "cookie")


def _is_credential(name: str) -> bool:
    return identifies_user(folded(name.encode("latin-1", "replace")))


def _need_of(scheme: Any) -> Need:
    """What a security scheme reads: an API key's place and name, else `Authorization`."""
    what, model = type(scheme).__name__, getattr(scheme, "model", None)
    place, name = getattr(getattr(model, "in_", None), "value", ""), getattr(model, "name", "")
    if place == "header" and name:
        return Need(f"{what} (header {name})", "header", name.lower(), credential=True)
    if place in ("cookie", "query") and name:
        where: Place = "cookie" if place == "cookie" else "query"
        return Need(f"{what} ({place} {name})", where, name, credential=True)
    known = type(scheme).__module__.startswith("fastapi.security")
    return Need(what, "header" if known else "unknown", "authorization", credential=True)


def _is_scheme(call: Any) -> bool:
    base = getattr(sys.modules.get("fastapi.security.base"), "SecurityBase", None)
    return base is not None and isinstance(_unwrapped(call), base)


def _unwrapped(call: Any) -> Any:
    """What a `partial`, a wrapper or a bound method calls."""
    while isinstance(call, functools.partial):
        call = call.func
    call = inspect.unwrap(call) if callable(call) else call
    return call.__self__ if inspect.ismethod(call) else call
