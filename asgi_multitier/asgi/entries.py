"""The entry to come: what is known of it before the origin is asked, and what it becomes."""

import math
import random

from msgspec.structs import replace

from .._types import Scope
from ..config.response_tags import tags_of_response
from ..config.templates import Texts, within_bounds
from ..engine.engine import Engine
from ..entry import Entry, StoredResponse, one_object, reuse_of
from ..policy.reasons import Reason
from ..policy.request import Field
from ..policy.status_codes import NEGATIVE
from ..policy.storing import Store, kept_for_validation
from ..policy.tags import cache_tags
from ..selectors import aliased
from .layers import Outside
from .plan import Plan
from .replay import PARTIAL
from .request import Request

KEEP_FOR_HEAD = 60.0
"""Seconds past freshness that a response without validators is kept: an answer to HEAD may renew it
(RFC 9111 §4.3.5)."""


class UnfitTags(Exception):  # noqa: N818  # an outcome, not a fault
    """A response may not be stored with its tags; the cause is what a callable raised, if any."""


def seed_of(engine: Engine, request: Request, key: str, name: str, tags: tuple[str, ...]) -> Entry:
    """What is known of an entry before the origin is asked."""
    now = engine.clock()
    return Entry(
        key=key,
        payload=b"",
        born=request.born(engine.index),
        created=now,
        fresh_until=now,
        keep_until=now,
        filled_at=now,
        path=request.path,
        route=request.plan.resolved.route,
        name=name,
        tags=tags,
    )


def entry_of(seed: Entry, response: StoredResponse, store: Store, plan: Plan, now: float) -> Entry:
    """The entry that a seed becomes with the response that came, at a reading of the clock.

    Raises:
        UnfitTags: If the response cannot have its tags: no invalidation by them would find it.
    """
    policy = plan.policy
    lifetime = store.lifetime
    if policy.jitter:
        lifetime *= 1 - policy.jitter * random.random()  # noqa: S311  # not a secret
    created = now - store.age if store.age else now
    fresh_until = created + lifetime
    windows = max(store.stale_while_revalidate, store.stale_if_error)
    keep = store.keep_for_validation
    # What is not there may be asked for under any number of names: it is not kept for longer.
    data_version = None if response.status in NEGATIVE else seed.data_version
    if data_version is not None:
        keep = max(keep, kept_for_validation(store.lifetime))
    keep_until = max(
        fresh_until + windows if windows else fresh_until,
        max(fresh_until, now) + keep if keep else 0.0,
        0.0 if plan.terms.annotated else fresh_until + KEEP_FOR_HEAD,
    )
    eager = policy.eager_refresh
    return replace(
        seed,
        payload=response,
        created=created,
        fresh_until=fresh_until,
        keep_until=keep_until,
        filled_at=now,
        cost=_cost(max(0.0, now - seed.created)),
        reuse=reuse_of(
            store.stale_while_revalidate,
            store.stale_if_error,
            always_validate=store.always_validate,
            stale_allowed=store.stale_allowed,
            immutable=store.immutable,
        ),
        refresh_at=now + (fresh_until - now) * eager if eager else math.inf,
        tags=(*_tags_of(seed, response, policy.tags_from), *store.tags),
        data_version=data_version,
    )


def _cost(seconds: float) -> float:
    """To four digits: many fills take about as long, and share one number."""
    return one_object(round(seconds, 4)) or seconds


def _tags_of(seed: Entry, response: StoredResponse, tags_from: Texts) -> tuple[str, ...]:
    """The tags by the request, by the response's `Cache-Tag` and by its content."""
    named = cache_tags(response.headers)
    if not (named or tags_from):
        return seed.tags
    if tags_from and response.status == PARTIAL:
        raise UnfitTags
    try:
        read = tags_of_response(tags_from, response.status, response.headers, response.body)
    except Exception as error:
        raise UnfitTags from error
    alias = seed.tags[:1] if aliased(seed.tags) else ()
    tags = tuple(dict.fromkeys((*seed.tags[len(alias) :], *named, *filter(None, read))))
    if not within_bounds(tags):
        raise UnfitTags
    return alias + tags


def objection_of(outside: Outside, request: Request, scope: Scope) -> Reason | None:
    """Why the answer of a run is its client's alone, whatever it looks like; None if it is not.

    Args:
        outside: What the layers around the cache keep for the request.
        request: The request.
        scope: The scope that the application got, as it is now.
    """
    policy, found = request.plan.policy, request.found
    by_origin = policy.lifetime is None and not found.keys().isdisjoint(
        (Field.COOKIE, Field.AUTHORIZATION)
    )
    return outside.objection(
        scope,
        shared=policy.public or bool(policy.guarded) or policy.vary_by is not None,
        keyed=by_origin or policy.separates_users,
    )
