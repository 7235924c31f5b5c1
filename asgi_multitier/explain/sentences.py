"""What is said of a verdict: one sentence, what to do, and where to read on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .._about import page
from ..policy.reasons import Reason
from .advice import ADVICE
from .explanation import Dropped, Verdict

_USED = page("concepts/http-caching.md#how-stored-responses-are-used")
_EXPLAIN = page("guides/explain.md")

UNBOUND = (
    "No application with a CacheMiddleware has begun with this cache, so its rules are not known"
)
UNBOUND_REMEDY = (
    "Give this manager to the middleware, app.add_middleware(CacheMiddleware, cache=cache), and let"
    " the application start or answer one request"
)

_UNKNOWN = {
    "vary_by": ("vary_by= says whose copy it gets", "run_callables=True"),
    "when": ("when= decides whether it meets the cache", "run_callables=True"),
    "enabled": ("enabled= decides whether the route is switched on", "run_callables=True"),
    "guard": ("what vary_by= takes from the endpoint's arguments is in the key", ""),
    "shared": ("this process has no answer, and shared tiers were not asked", "shared=True"),
    "silent": (
        "this process has no answer, and a shared tier is silent, without which it is a miss",
        "",
    ),
    "local": ("the first tier cannot be looked into", ""),
}
"""What decides where it was not asked, and what to pass for it to be asked."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is said.

    Attributes:
        sentence, remedy, docs: See `Explanation`.
    """

    sentence: str
    remedy: str = ""
    docs: str = ""


def said(
    verdict: Verdict,
    reason: Reason | None,
    *,
    tier: int = 1,
    ttl: float = 0.0,
    unknown: Collection[str] = (),
    dropped: Sequence[Dropped] = (),
    failed: str = "",
) -> Said:
    """What is said of a verdict.

    Args:
        verdict, reason: What would become of the request, and why.
        tier: The level of the tier that has what is served.
        ttl: Seconds of freshness that are left of it.
        unknown: What was not asked.
        dropped: Why what is stored is not valid any more.
        failed: The option whose callable has raised, and what; "" if none has.
    """
    if verdict is Verdict.UNKNOWN:
        return _unknown(unknown)
    if verdict is Verdict.HIT:
        found = Said(f"A fresh response in tier {tier} answers it, for {ttl:.0f} s more")
    elif verdict is Verdict.STALE:
        found = Said(
            f"A response in tier {tier}, stale for {-ttl:.0f} s, answers it and is renewed in the"
            " background",
            docs=_USED,
        )
    elif verdict is Verdict.MISS:
        found = Said("Nothing is stored for it: the application is asked")
    elif verdict is Verdict.DROPPED:
        found = Said(
            f"What is stored was dropped {_because(dropped)}: the application is asked",
            docs=ADVICE[Reason.INVALIDATED].docs,
        )
    elif verdict is Verdict.CHANGE and reason is None:
        found = Said(
            "It may change something: the application is asked, and its success drops what it"
            " names",
            docs=page("reference/strategies.md#options-for-mutations"),
        )
    elif reason is None:
        found = _without_reason(verdict)
    else:
        advice = ADVICE[reason]
        found = Said(f"{advice.sentence}{_tail(verdict)}", advice.remedy, advice.docs)
    if failed:
        found = Said(f"{found.sentence} ({failed})", found.remedy, found.docs)
    if "guard" in unknown:
        found = Said(f"{found.sentence}, if its guard lets it in", found.remedy, found.docs)
    if "validator" in unknown and verdict is Verdict.EXPIRED:
        found = Said(
            f"{found.sentence}, unless validator= finds its data unchanged", "", found.docs
        )
    return found


def _tail(verdict: Verdict) -> str:
    if verdict in (Verdict.EXPIRED, Verdict.VALIDATE, Verdict.REFUSED):
        return ": the application is asked"
    return ", so it counts as a change" if verdict is Verdict.CHANGE else ""


def _without_reason(verdict: Verdict) -> Said:
    if verdict is Verdict.REFUSED:
        return Said(
            "The last response could not be stored: the application is asked",
            "Read Cache-Status of its response, which says why",
            ADVICE[Reason.STATUS].docs,
        )
    return Said("What is stored is to be renewed: the application is asked", docs=_USED)


def _unknown(unknown: Collection[str]) -> Said:
    found = [_UNKNOWN[part] for part in unknown if part in _UNKNOWN]
    why = "; ".join(dict.fromkeys(text for text, _ in found))
    asks = " and ".join(dict.fromkeys(option for _, option in found if option))
    remedy = f"Pass {asks} to explain" if asks else ""
    return Said(f"It is not known: {why}" if why else "It is not known", remedy, _EXPLAIN)


_CAUSES = {
    "forgotten": "as it is older than what this process remembers of the log",
    "generation": "as the log in which it was born was replaced",
    "untrusted": "as the log has not been heard of for too long",
}


def _because(dropped: Sequence[Dropped]) -> str:
    """Which record has dropped it: the last one."""
    selectors = [one for one in dropped if one.cause == "selector"]
    if not selectors:
        return next((_CAUSES[one.cause] for one in dropped), "meanwhile")
    last = max(selectors, key=lambda one: (one.pending or one.held, one.record))
    what = f"by {last.kind} {last.text}".rstrip()
    if last.pending:
        return f"{what}, which this process has begun and the log has not confirmed"
    if last.held:
        return f"{what}, whose origin is given time to settle"
    return f"{what} in record {last.record} of the log" if last.record else what
