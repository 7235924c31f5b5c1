"""A sample of what clients ask for, taken where a plan is made: the plain hit takes no part in it.

What is asked for may be told to other processes, through a shared tier. So only that is told which
lies there anyway, in the open: targets whose response anyone gets who asks for them without a
credential or a cookie, and that name no credential themselves. What keys veil is not told.
"""

from urllib.parse import unquote

from .._types import Scope
from ..engine.stack import TierStack
from ..entry import StoredResponse, Variants
from ..policy.coding import ACCEPT_ENCODING, known_codings
from ..warming.popularity import LONGEST
from ..warming.targets import Origin, Target
from .plan import Plan, PlanKey

WARM_KEY = "asgi_multitier.warm"
"""The key in the scope of a request that a warm-up has made: no client asks."""

MOST = 64
"""Requests that are noted before they are looked at."""


class Sample:
    """What clients ask for, noted when a plan is made and looked at later.

    By then the response is stored, if it ever is.
    """

    def __init__(self) -> None:
        self._noted: list[tuple[PlanKey, Plan, bytes]] = []

    def note(self, scope: Scope, target: PlanKey, plan: Plan) -> None:
        """Note a request, if there is room."""
        if len(self._noted) >= MOST or not is_open(plan) or WARM_KEY in scope:
            return
        codings = [value for name, value in scope["headers"] if name.lower() == ACCEPT_ENCODING]
        self._noted.append((target, plan, b", ".join(codings)))

    def taken(self, stack: TierStack) -> list[Target]:
        """The targets that were noted since, of which responses are stored for anyone."""
        noted, self._noted = self._noted, []
        found = (_told(*one, stack) for one in noted)
        return [target for target in found if target is not None]


def is_open(plan: Plan) -> bool:
    """Whether a response of a target may be for anyone: its key needs nothing but the target."""
    return plan.reason is None and plan.whole and not plan.policy.guarded


def _told(key: PlanKey, plan: Plan, codings: bytes, stack: TierStack) -> Target | None:
    """The target, if it may be told."""
    host, (raw_path, query, path, root_path, *_) = key
    query = plan.query if plan.query is not None else query
    if not isinstance(raw_path, bytes) or not isinstance(query, bytes) or host is None:
        return None
    raw_path, root_path = raw_path.partition(b"?")[0], str(root_path or "")
    if plan.veil.hides(query) or sum(map(len, (host, raw_path, query, root_path))) > LONGEST:
        return None
    if not root_path.isprintable():
        return None  # no list may hold it
    if unquote(raw_path.decode("latin-1")) != path:
        return None  # a layer around the cache has changed it, and would do so again
    headers = _choosing(plan, codings, stack)
    if headers is None:
        return None
    origin = Origin(plan.origin[0], host, root_path)
    return Target(origin, raw_path, query, headers)


def _choosing(
    plan: Plan, codings: bytes, stack: TierStack
) -> tuple[()] | tuple[tuple[bytes, bytes]] | None:
    """The fields besides the target that choose the response; None if it is not for anyone.

    Of variants only those in codings that browsers know: other fields may tell who asks.
    """
    slot = stack.peek(plan.key)
    payload = None if slot is None else slot.entry.payload
    if isinstance(payload, StoredResponse):
        return ()
    if not isinstance(payload, Variants) or payload.fields != (ACCEPT_ENCODING,):
        return None
    if not codings:
        return ()
    known = known_codings(codings)
    return None if known is None else ((ACCEPT_ENCODING, known),)
