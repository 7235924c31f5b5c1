"""A sample of what clients ask for, taken where a plan is made: the plain hit takes no part in it.

What is asked for may be told to other processes, through a shared tier. So only that is told which
lies there anyway, in the open: targets whose response anyone gets who asks for them without a
credential or a cookie, and that name no credential themselves. What keys veil is not told. The
fields of a reverse proxy from which URLs are built belong to a target, as they are in every key.
"""

from urllib.parse import unquote

from .._types import Scope
from ..engine.stack import TierStack
from ..entry import StoredResponse, Variants
from ..policy.coding import ACCEPT_ENCODING, known_codings
from ..policy.content import WITH_CONTENT
from ..policy.headers import invalid_reason
from ..policy.key import forwarded_for_all
from ..policy.request import Field, FieldLines
from ..warming.popularity import is_too_long
from ..warming.targets import Origin, Target
from .plan import Plan, PlanKey
from .request_key import request_key

WARM_KEY = "asgi_multitier.warm"
"""The key in the scope of a request that a warm-up has made: no client asks."""

MOST = 64
"""Requests that are noted before they are looked at."""


class Sample:
    """What clients ask for, noted when a plan is made and looked at later.

    By then the response is stored, if it ever is.
    """

    def __init__(self) -> None:
        self._noted: list[tuple[Origin, PlanKey, Plan, bytes]] = []

    def note(self, scope: Scope, origin: Origin, target: PlanKey, plan: Plan) -> None:
        """Note a request, if there is room."""
        if len(self._noted) >= MOST or scope["method"] in WITH_CONTENT or not is_open(plan):
            return
        codings = [value for name, value in scope["headers"] if name.lower() == ACCEPT_ENCODING]
        self._noted.append((origin, target, plan, b", ".join(codings)))

    def taken(self, stack: TierStack) -> list[Target]:
        """The targets that were noted since, of which responses are stored for anyone."""
        noted, self._noted = self._noted, []
        found = (_told(*one, stack) for one in noted)
        return [target for target in found if target is not None]


def is_open(plan: Plan) -> bool:
    """Whether a response of a target may be for anyone: its key needs nothing but the target."""
    return plan.reason is None and plan.whole and not plan.policy.guarded


def origin_of(scope: Scope, host: bytes, plan: Plan, found: FieldLines) -> Origin | None:
    """What a client asks, besides the path; None if that cannot be told.

    Args:
        scope: Its request.
        host: The Host as sent.
        plan: The target's.
        found: What the scan has found in the request's fields.
    """
    proxied = forwarded_for_all(found.get(Field.FORWARDED, ()))
    if proxied is None:
        return None
    origin = Origin(plan.origin[0], host, str(scope.get("root_path") or ""), proxied)
    sendable = origin.root_path.isprintable() and invalid_reason(origin.proxied) is None
    return origin if sendable and not is_too_long(origin, b"", b"") else None


def _told(
    origin: Origin, target: PlanKey, plan: Plan, codings: bytes, stack: TierStack
) -> Target | None:
    """The target, if it may be told."""
    _, (raw_path, query, path, *_) = target
    query = plan.query if plan.query is not None else query
    if not isinstance(raw_path, bytes) or not isinstance(query, bytes):
        return None
    raw_path = raw_path.partition(b"?")[0]
    if plan.veil.hides(query) or is_too_long(origin, raw_path, query):
        return None
    if unquote(raw_path.decode("latin-1")) != path:
        return None  # a layer around the cache has changed it, and would do so again
    key = request_key(plan, (), {Field.FORWARDED: list(origin.proxied)}, None)
    headers = _choosing(key, codings, stack)
    if headers is None:
        return None
    return Target(origin, raw_path, query, headers)


def _choosing(
    key: str, codings: bytes, stack: TierStack
) -> tuple[()] | tuple[tuple[bytes, bytes]] | None:
    """The fields besides the target that choose the response; None if it is not for anyone.

    Of variants only those in codings that browsers know: other fields may tell who asks.
    """
    slot = stack.peek(key)
    payload = None if slot is None else slot.entry.payload
    if isinstance(payload, StoredResponse):
        return ()
    if not isinstance(payload, Variants) or payload.fields != (ACCEPT_ENCODING,):
        return None
    if not codings:
        return ()
    known = known_codings(codings)
    return None if known is None else ((ACCEPT_ENCODING, known),)
