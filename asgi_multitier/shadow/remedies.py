"""What to do about a cause: a sentence, and the change of the rule."""

from dataclasses import dataclass
from typing import Final

from ..policy.credentials import identifies_user
from .annotations import BY_ADDRESS, Changes
from .found import Cause
from .observation import NAMELESS
from .record import Attribute

_WORDS: Final = {
    Cause.FIELD: "field",
    Cause.COOKIE: "cookie",
    Cause.QUERY: "query parameter",
    Cause.USER: "user",
    Cause.ADDRESS: "client's address",
}


def told(attribute: Attribute) -> str:
    """An attribute as it is told: `field accept-currency`, `client's address`."""
    kind, name = attribute
    return f"{_WORDS[kind]} {name}".rstrip()


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do.

    Attributes:
        sentence: In words.
        changes: Of the rule of the route; None where that does not help.
    """

    sentence: str
    changes: Changes | None = None


def of_attribute(names: tuple[Attribute, ...]) -> Remedy:
    """What to do where answers depend on an attribute.

    Args:
        names: It and those that explain equally, the likeliest first.
    """
    kind, name = names[0]
    what = " or ".join(told(one) for one in names[:4])
    if kind is Cause.FIELD and name.startswith(":"):
        return Remedy(
            f"Answers depend on the {what}, which the rule leaves out of the key: take it in, or"
            " do not cache the route",
            Changes(never=True),
        )
    if kind is Cause.FIELD:
        many = ", or vary_by= with the few kinds of it that matter" if name == "user-agent" else ""
        return Remedy(
            f'Answers depend on the {what}: write vary=["{name}"]{many}', Changes(vary=(name,))
        )
    if kind is Cause.COOKIE:
        return Remedy(
            f'Answers depend on the {what}: write cookies=["{name}"], without public= and'
            " ignore_cookies= for it",
            Changes(cookies=(name,)),
        )
    if kind is Cause.QUERY and name == NAMELESS:
        return Remedy(
            "Answers depend on what stands in the query string without a name: leave query= away,"
            " so that all of it is in the key"
        )
    if kind is Cause.QUERY:
        return Remedy(
            f'Answers depend on the {what}: name "{name}" in query=', Changes(query=(name,))
        )
    if kind is Cause.USER:
        return _of_user(names, what)
    return Remedy(
        f"Answers depend on the {what}: separate clients by vary_by=, or do not cache the route",
        Changes(vary_by=BY_ADDRESS),
    )


def _of_user(names: tuple[Attribute, ...], what: str) -> Remedy:
    sentence = (
        f"Answers depend on the {what}: take public= and ignore_cookies= away and separate users by"
        " vary_by=, vary= or cookies=, or put guarded=True on the endpoint"
    )
    fields = [
        name
        for kind, name in names
        if kind is Cause.FIELD and identifies_user(name.encode("latin-1"))
    ]
    if fields:
        return Remedy(sentence, Changes(vary=(fields[0],)))
    cookies = [name for kind, name in names if kind is Cause.COOKIE]
    if cookies:
        return Remedy(sentence, Changes(cookies=(cookies[0],)))
    return Remedy(sentence, Changes(never=True))


def of_random(place: str) -> Remedy:
    """What to do where answers are never the same."""
    if place:
        return Remedy(
            f"Each answer differs at {place} although the requests are equal: leave that out of"
            " the answer, or do not cache the route",
            Changes(never=True),
        )
    return Remedy(
        "Answers to equal requests differ each time: do not cache the route", Changes(never=True)
    )


def of_elsewhere(route: str, lag: float) -> Remedy:
    """What to do where the mutation is not a request of this process, so it has no name.

    Args:
        route: What changes.
        lag: Seconds from what it dropped to the change; 0 where it does not drop the route.
    """
    what = "something that another process, or code outside of a request, drops"
    if lag:
        return Remedy(
            f"{route} changes up to {lag:.1f} s after {what}: commit there before it is dropped"
        )
    return Remedy(
        f"{route} changes after {what}: find what runs there, and let it drop {route} too"
    )


def of_unknown() -> Remedy:
    """What to do where nothing explains."""
    return Remedy(
        "The requests that were compared do not show why: watch for longer, or do not cache the"
        " route until it is known"
    )
