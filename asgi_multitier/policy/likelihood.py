"""How likely a request field chooses the content of a response, judged by its name.

It orders explanations that observations cannot tell apart. What is measured comes before it.
"""

from functools import lru_cache
from typing import Final

from .credentials import folded, identifies_user

NEVER: Final = 99
"""The rank of a field that is about one message: its number, its time, its path."""

UNLIKELY: Final = 7
"""The rank from which an attribute is taken for a cause only where no other one explains."""

_RANKS: Final = {
    b"accept-language": 1,
    b"accept": 1,
    b":host": 1,
    b":scheme": 2,
    b"host": 1,
    b"prefer": 1,
    b"authorization": 3,
    b"proxy-authorization": 4,
    b"x-forwarded-proto": 4,
    b"x-forwarded-host": 4,
    b"user-agent": 5,
    b"x-forwarded-for": 6,
    b"x-real-ip": 6,
    b"forwarded": 6,
    b"via": 8,
    b"origin": 6,
    b"accept-encoding": 7,
    b"referer": 8,
    b"cache-control": 8,
    b"pragma": 8,
    b"priority": 8,
    b"dnt": 8,
    b"te": 8,
    b"upgrade-insecure-requests": 8,
}

_NEVER: Final = frozenset(
    b"date age connection content-length traceparent tracestate baggage b3 sentry-trace cookie"
    b" x-amzn-trace-id x-cloud-trace-context x-request-start x-queue-start x-timer cf-ray"
    b" idempotency-key if-match if-none-match if-modified-since if-unmodified-since if-range range"
    b" keep-alive transfer-encoding upgrade trailer expect max-forwards".split()
)
_NEVER_STARTS: Final = (b"x-b3-", b"x-datadog-", b"ot-tracer-", b"uber-trace", b"sec-websocket-")
_NEVER_WORDS: Final = frozenset(
    b"request correlation trace span transaction invocation message operation".split()
)

_BROWSERS: Final = (b"sec-ch-", b"cf-", b"cloudfront-", b"x-client-")


@lru_cache(maxsize=1024)
def rank_of_field(name: bytes) -> int:
    """How late a field stands among those that explain equally well: 0 first, `NEVER` not at all.

    Fields that an application has thought of come first, then what browsers send to choose a
    content, then what identifies a user, then what hardly chooses a content.
    """
    plain = folded(name)
    known = _RANKS.get(plain)
    if known is not None:
        return known
    if plain in _NEVER or plain.startswith(_NEVER_STARTS):
        return NEVER
    words = plain.split(b"-")
    if words[-1] in (b"id", b"ids") and _NEVER_WORDS.intersection(words):
        return NEVER
    if plain.startswith(b"sec-fetch-"):
        return UNLIKELY
    if plain.startswith(_BROWSERS):
        return 5
    return 0


_OF_SCRIPTS: Final = (
    *("_ga", "_gid", "_gat", "_gcl", "__utm", "_fbp", "_fbc", "_hj", "_pk_", "_clck", "_clsk"),
    *("_uet", "_tt_", "_ttp", "_scid", "_pin_", "_rdt_", "_mkto_", "_hp2_", "_vwo_", "ajs_"),
    *("amp_", "amplitude", "mp_", "hubspotutk", "__hs", "intercom-", "li_", "optimizely", "ph_"),
    *("cookieconsent", "cookielawinfo", "euconsent", "optanon", "didomi", "cc_cookie"),
)
"""How cookies of analytics, advertisements and consent begin: scripts of the page read them."""


def rank_of_cookie(name: str) -> int:
    """The same of a cookie: one that identifies the user stands behind the user."""
    if name.lower().startswith(_OF_SCRIPTS):
        return 8
    return 3 if identifies_user(folded(name.encode("latin-1", "replace"))) else 1
