"""Who may kill: a person at this machine who has the token, by this page or by a command.

A page of a stranger, open in the same browser, can send requests to this machine, and can make its
own name lead here (DNS rebinding). It can neither read the token nor be of the same origin.
"""

import hmac
from collections.abc import Mapping
from typing import NamedTuple


class Refusal(NamedTuple):
    """Why a request is not answered: a status code and a sentence."""

    status: int
    detail: str


def refusal(
    method: str, headers: Mapping[str, str], origins: tuple[str, ...], token: str
) -> Refusal | None:
    """Why a request is refused; None if it is not.

    Args:
        method: The request's method. GET and HEAD change nothing and need no token.
        headers: Its fields, by lower-case name.
        origins: Where the page is: `http://127.0.0.1:8000` and `http://localhost:8000`.
        token: What may change something.
    """
    host = headers.get("host", "").lower()
    if f"http://{host}" not in origins:
        return Refusal(421, "this is not the name of a page of this machine")
    if method in ("GET", "HEAD"):
        return None
    same = headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    if not same or headers.get("origin", f"http://{host}") != f"http://{host}":
        return Refusal(403, "only this machine's own page may ask for that")
    sent = headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(sent.encode(), token.encode()):
        return Refusal(401, "the token is missing: open the address that the terminal has printed")
    return None
