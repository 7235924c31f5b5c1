"""Which keys are asked for most: of one process, or of all workers of its machine."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..engine.engine import Engine
from ..policy.key import storage_key


def hot_keys(engine: Engine, *, reveal: bool) -> dict[str, Any]:
    """All keys that are counted, the most frequent first.

    Args:
        engine: The cache.
        reveal: Whether paths are told, which may name users.
    """
    keys = [
        {
            "digest": storage_key(key),
            "route": seen.route,
            "share": share,
            "size": seen.size,
            "path": seen.path if reveal and seen.path else None,
        }
        for key, share, seen in engine.sampler.keys.top()
    ]
    return {"samples": engine.sampler.keys.total(engine.clock()), "keys": keys}


def hottest(parts: Sequence[Mapping[str, Any]], limit: int) -> dict[str, Any]:
    """The most frequent keys of several processes, of which each weighs by the hits that were seen.

    Args:
        parts: Of `hot_keys`.
        limit: How many are told.
    """
    samples = sum(part["samples"] for part in parts)
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        for key in part["keys"]:
            told = found.setdefault(key["digest"], {**key, "share": 0.0})
            told["share"] += key["share"] * part["samples"] / samples
    ranked = sorted(found.values(), key=lambda key: (-key["share"], key["digest"]))
    return {"samples": samples, "keys": ranked[:limit]}
