"""What to write at a route of which several processes have found different causes."""

from collections.abc import Sequence

from ..config.policy import Policy
from .annotations import Changes, merged, written_at
from .found import ATTRIBUTES, Cause, Finding, decides
from .remedies import of_attribute


def annotation_for(
    route: str, policy: Policy | None, findings: Sequence[Finding], lifetime: float | None
) -> str | None:
    """The annotation of a route for all of these findings; None where it cannot be written.

    Args:
        route: Its label.
        policy: Its rule.
        findings: What all processes together have found.
        lifetime: Seconds for which it can be cached; None where that is not known.
    """
    total = sum(one.wrong for one in findings)
    deciding = [one for one in findings if decides(one.cause, one.wrong, total)]
    changes = [_changes(one, lifetime) for one in deciding]
    known = [one for one in changes if one is not None]
    return written_at(route, policy, merged(known)) if known else None


def _changes(finding: Finding, lifetime: float | None) -> Changes | None:
    """What a cause asks for at the route itself."""
    if finding.cause in ATTRIBUTES:
        others = ((Cause(kind), name) for kind, name in finding.others)
        return of_attribute(((finding.cause, finding.name), *others)).changes
    if finding.cause is Cause.RANDOM:
        return Changes(never=True)
    if finding.cause is Cause.LIFETIME:
        return Changes(never=True) if lifetime is None else Changes(lifetime=lifetime)
    return None
