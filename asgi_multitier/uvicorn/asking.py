"""Asking the cache for a plain hit, as its middleware would be asked."""

from asyncio.events import _get_running_loop as loop_here
from typing import NamedTuple

from .._types import Header
from ..asgi.middleware import CacheMiddleware
from ..asgi.plan import Plan, PlanKey
from ..asgi.replay import Replay, prepare
from ..policy.request import scan


class Question(NamedTuple):
    """A request, as far as the cache wants to know it; see the ASGI scope."""

    method: str
    raw_path: bytes
    query: bytes
    path: str
    root_path: str
    scheme: str
    http_version: str
    headers: list[Header]


class Asked(NamedTuple):
    """A request that may be a plain hit now or later."""

    target: PlanKey
    plan: Plan
    method: str


def ask(cache: CacheMiddleware, question: Question) -> Asked | None:
    host, found = scan(question.headers, cache._watched)
    q = question
    target: PlanKey = (
        host,
        (q.raw_path, q.query, q.path, q.root_path, q.scheme, q.http_version, q.method),
    )
    plan = cache._plans.young.get(target)
    if plan is None:
        plan = cache._plans.recall(target)
    if plan is None or plan.reason is not None or not plan.instant:
        return None
    if found is not None and not plan.plain.issuperset(found):
        return None
    return Asked(target, plan, q.method)


def answer(cache: CacheMiddleware, asked: Asked) -> Replay | None:
    plan = asked.plan
    if cache._home.place is not loop_here() or cache._plans.young.get(asked.target) is not plan:
        return None
    slot = cache._get(plan.key)
    if slot is None or slot.view != cache._index.view:
        return None
    replay = slot.replay or prepare(slot, plan.terms)
    now = cache._clock()
    if replay is None or now >= replay.until:
        return None
    second = int(now - replay.created)
    if second != replay.second:
        replay.renew(second)
    return replay


def count(asked: Asked) -> None:
    asked.plan.tally.local += 1
