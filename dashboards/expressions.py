"""PromQL that the board and the rules have in common."""

from asgi_multitier.metrics import PREFIX

SERVED = 'outcome=~"hit|stale|coalesced"'
"""Requests that need no run of the application of their own."""

MET = 'outcome!="pass"'
"""Requests that meet the cache."""


def rate(name: str, matching: str = "", by: str = "job", span: str = "5m", ago: str = "") -> str:
    """How often something happens each second.

    Args:
        name: A counter's, without the prefix.
        matching: What its labels are.
        by: Labels that stay.
        span: The time that is looked at.
        ago: How long before now it ends; "" for now.
    """
    offset = f" offset {ago}" if ago else ""
    return f"sum by ({by}) (rate({PREFIX}{name}{{{matching}}}[{span}]{offset}))"


def quantile(share: float, name: str, matching: str = "", by: str = "job", span: str = "5m") -> str:
    """What this share of durations is at most, in seconds. See `rate`."""
    buckets = rate(f"{name}_bucket", matching, f"{by}, le" if by else "le", span)
    return f"histogram_quantile({share}, {buckets})"


def mean(name: str, matching: str = "", by: str = "job", span: str = "5m") -> str:
    """The mean of durations, in seconds. See `rate`."""
    total, count = (rate(f"{name}_{part}", matching, by, span) for part in ("sum", "count"))
    return f"{total} / {count}"


def ratio(matching: str = "", by: str = "job", span: str = "5m", ago: str = "") -> str:
    """The share of requests that need no run of the application. See `rate`."""
    both = [f"{kind},{matching}" if matching else kind for kind in (SERVED, MET)]
    served, met = (rate("requests_total", kind, by, span, ago) for kind in both)
    return f"{served} / {met}"
