"""The entry that a value becomes."""

import random

from ...config.policy import Policy
from ...entry import Born, Entry


def entry_of(
    key: str, payload: bytes, policy: Policy, tags: tuple[str, ...], *, born: Born, now: float
) -> Entry:
    """The entry of a value.

    Args:
        key: The key.
        payload: The value's bytes; empty for one that is yet to come.
        policy: Lifetime and options.
        tags: What it is found by.
        born: The place in the log that its maker knew of.
        now: The clock's reading.
    """
    lifetime = policy.lifetime or 0.0
    if policy.jitter:
        lifetime *= 1 - policy.jitter * random.random()  # noqa: S311  # not a secret
    revalidate = policy.stale_while_revalidate or 0.0
    on_error = policy.stale_if_error or 0.0
    eager = policy.eager_refresh
    return Entry(
        key=key,
        payload=payload,
        born=born,
        created=now,
        fresh_until=now + lifetime,
        keep_until=now + lifetime + max(revalidate, on_error),
        filled_at=now,
        stale_while_revalidate=revalidate,
        stale_if_error=on_error,
        refresh_at=now + lifetime * eager if eager else float("inf"),
        tags=tags,
    )
