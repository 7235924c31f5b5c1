"""Short forms for what every policy test needs: a moment, field lines, a judgement."""

from typing import Any

from asgi_multitier._types import Headers
from asgi_multitier.policy.dates import format_http_date
from asgi_multitier.policy.reasons import Reason
from asgi_multitier.policy.storing import Store, judge
from asgi_multitier.policy.terms import Terms

NOW = 1_800_000_000.0
"""Unix seconds: a moment in January 2027."""

FROM_ORIGIN = Terms()
ANNOTATED = Terms(lifetime=300.0)


def lines(*pairs: tuple[str, str | int]) -> Headers:
    """Field lines; a number becomes the HTTP date of so many seconds from NOW."""
    return tuple(
        (
            name.lower().encode("latin-1"),
            format_http_date(NOW + value) if isinstance(value, int) else value.encode("latin-1"),
        )
        for name, value in pairs
    )


def judged(*pairs: tuple[str, str | int], **changes: Any) -> Store | Reason:
    """The judgement of a 200 to a plain GET with these fields, in `from_origin` mode."""
    arguments: dict[str, Any] = {
        "method": "GET",
        "status": 200,
        "request_headers": (),
        "terms": FROM_ORIGIN,
        "now": NOW,
        "request_time": NOW,
        **changes,
    }
    return judge(headers=lines(*pairs), **arguments)


def stored(*pairs: tuple[str, str | int], **changes: Any) -> Store:
    """As `judged`, where the response must have been found storable."""
    verdict = judged(*pairs, **changes)

    assert isinstance(verdict, Store), verdict
    return verdict


def hit_after(seconds: float, verdict: Store | Reason) -> bool:
    """Whether the response would be served without asking anybody, so long after its receipt."""
    return (
        isinstance(verdict, Store)
        and not verdict.always_validate
        and verdict.age + seconds < verdict.lifetime
    )
