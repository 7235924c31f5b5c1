"""What is said of one operation: a mapping that `json.dumps` takes, with names of no code.

A document is read by strangers. So names of functions are left out (`vary_by`, `tags`), and so are
routes that the document does not have. Templates are shown as they are written.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..config.policy import Policy
from ..config.rules import Invalidations
from ..config.templates import Template, Texts


def of_cached(policy: Policy, dropped_by: Iterable[object]) -> dict[str, Any]:
    """How responses are cached.

    Args:
        policy: The rule.
        dropped_by: The operations that drop them.
    """
    said: dict[str, Any] = {
        "lifetime": _seconds(policy.lifetime),
        **_texts("tags", (*policy.tags, *policy.tags_from)),
        "query": None if policy.query is None else list(policy.query),
        "vary": [name.decode("latin-1") for name in policy.vary],
        "cookies": list(policy.cookies),
        "vary_by": _kind(policy.vary_by),
        "guarded": policy.guarded,
        "body": policy.body,
        "client_cache": _seconds(policy.client_cache),
        "stale_while_revalidate": _seconds(policy.stale_while_revalidate),
        "stale_if_error": _seconds(policy.stale_if_error),
        "dropped_by": [str(place) for place in dropped_by],
    }
    # Of `query`, an empty list says that no parameter counts.
    always = {"lifetime", "dropped_by", *(() if policy.query is None else ("query",))}
    return {name: value for name, value in said.items() if _is_said(value) or name in always}


def of_change(
    named: Invalidations, paths_of: Callable[[Any], Iterable[str]]
) -> dict[str, Any] | None:
    """What a success drops besides its own URL; None if nothing is named.

    Args:
        named: What the endpoint names.
        paths_of: The paths of a route, by its name or endpoint, as far as the document has them.
    """
    routes = dict.fromkeys(path for route in named.routes for path in paths_of(route))
    said: Mapping[str, Any] = {
        **_texts("tags", named.tags),
        **_texts("paths", named.paths),
        "routes": list(routes),
        **_texts("patterns", named.patterns),
    }
    return {name: value for name, value in said.items() if _is_said(value)} or None


def _texts(name: str, texts: Texts) -> dict[str, Any]:
    """Templates, and whether there are more that only code knows."""
    known = [text.text for text in texts if isinstance(text, Template)]
    return {name: known, f"{name}_computed": len(known) < len(texts)}


def _kind(given: object) -> str | None:
    """What separates users, without its name."""
    if given is None:
        return None
    return "template" if isinstance(given, Template) else "callable"


def _seconds(value: float | None) -> float | None:
    """Without a fraction where there is none."""
    return int(value) if value is not None and value == int(value) else value


def _is_said(value: object) -> bool:
    """Whether it is more than the default; 0 seconds are."""
    return value is not None and value is not False and value != []
