"""What is shown of plans, keys, entries and selectors: names and kinds; texts where revealed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...coherence.index import Index
from ...coherence.refusals import Refusal
from ...config.policy import Policy
from ...config.templates import Template
from ...entry import Entry, StoredResponse, Variants
from ...explain.effects import Carried, named
from ...explain.explanation import (
    Dropped,
    EntryShown,
    KeyShown,
    LogShown,
    Position,
    RuleShown,
)
from ...explain.redaction import redacted
from ...policy import key as keys
from ...routing import Resolved
from ...selectors import Selector, aliased, glob_matches
from ..plan import Plan

_NAMED = {"head": "pattern", "glob": "pattern", "prefix": "path below"}
"""What kinds of selectors are called, where that is another word."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is shown of texts from requests.

    Args:
        reveal: Whether they are shown as they are.
        path: What is shown of a path: the route.
        carried: The tags of the route's responses, as its rule states them.
    """

    reveal: bool
    path: str = ""
    carried: tuple[Carried, ...] = ()

    def tags(self, entry: Entry) -> tuple[str, ...]:
        """The tags of an entry."""
        tags = entry.tags[1:] if aliased(entry.tags) else entry.tags
        return tags if self.reveal else tuple(dict.fromkeys(map(self.tag, tags)))

    def tag(self, tag: str) -> str:
        """What is shown in place of a tag: the template that gives it, if one does."""
        for one in self.carried:
            if one.pattern is not None and glob_matches(one.pattern, tag):
                return one.shown
        return redacted(tag)

    def selector(self, selector: Selector) -> tuple[str, str]:
        """The kind and the text of a selector that selects an entry of the route."""
        kind, text = _NAMED.get(selector.kind, selector.kind), selector.text
        if kind == "all" or self.reveal or selector.kind == "route":
            return kind, text
        if kind in ("path", "path below"):
            return kind, self.path
        if kind == "tag":
            return kind, self.tag(text)
        return kind, redacted(text)

    def dropped(self, refusals: Iterable[Refusal], entry: Entry) -> tuple[Dropped, ...]:
        """Why an entry is not valid."""
        found = []
        for cause, selector, seq, pending, held in refusals:
            kind, text = ("", "") if selector is None else self.selector(selector)
            if kind == "key" and not self.reveal:
                text = keys.storage_key(entry.key)
            found.append(
                Dropped(cause=cause, kind=kind, text=text, record=seq, pending=pending, held=held)
            )
        return tuple(found)


def entry_shown(
    entry: Entry,
    now: float,
    *,
    tier: tuple[int, str],
    redaction: Redaction,
    because: tuple[Dropped, ...] = (),
    size: int | None = None,
    uses: int | None = None,
) -> EntryShown:
    """One entry.

    Args:
        entry: The entry.
        now: The clock's reading.
        tier: The level and the name of the tier that has it.
        redaction: What is shown of its texts.
        because: Why it is not valid any more.
        size: Bytes accounted for it; None for those of its body.
        uses: Requests that it has answered; None where that is not counted.
    """
    payload = entry.payload
    is_response = isinstance(payload, StoredResponse)
    body = len(payload.body) if isinstance(payload, StoredResponse) else 0
    return EntryShown(
        tier=tier[0],
        name=tier[1],
        kind="response" if is_response else "variants",
        key=keys.storage_key(entry.key),
        state="dropped" if because else _state(entry, now),
        status=payload.status if isinstance(payload, StoredResponse) else None,
        size=body if size is None else size,
        age=max(now - entry.created, 0.0),
        ttl=entry.fresh_until - now,
        keep=entry.keep_until - now,
        born=Position(gen=entry.born.gen, seq=entry.born.seq),
        uses=uses,
        vary=_names(payload.fields) if isinstance(payload, Variants) else (),
        tags=redaction.tags(entry),
        dropped_because=because,
    )


def _state(entry: Entry, now: float) -> str:
    if now < entry.fresh_until:
        return "fresh"
    return "stale" if now < entry.keep_until else "expired"


def _names(fields: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(field.decode("latin-1") for field in fields)


def rule_shown(resolved: Resolved) -> RuleShown:
    """The rule that holds for a request."""
    policy, leaf = resolved.policy, resolved.leaf
    return RuleShown(
        route=resolved.label,
        endpoint="" if leaf is None else str(leaf),
        chosen_by=resolved.reason,
        lifetime=None if policy is None else policy.lifetime,
        guarded=policy is not None and bool(policy.guarded),
    )


def key_shown(
    plan: Plan, key: str, added: Iterable[str], url: Mapping[str, str], *, reveal: bool
) -> KeyShown:
    """The key of a request.

    Args:
        plan: The plan of its target.
        key: The key.
        added: The names of what the rule adds from the request.
        url: The parts of its URL, with their values.
        reveal: Whether those are shown.
    """
    parts = dict(url)
    if plan.policy.query is not None:
        del parts["query"]
        parts.update({f"query:{name}": "" for name in plan.policy.query})
    elif not parts["query"]:
        del parts["query"]
    for optional in ("root_path", "version"):
        if not parts[optional]:
            del parts[optional]
    if plan.policy.guarded:
        parts["guard"] = ""
    names = (*parts, *dict.fromkeys(added))
    values = {name: value for name, value in url.items() if value} if reveal else None
    return KeyShown(digest=keys.storage_key(key), parts=names, values=values)


def url_of(plan: Plan, scope: Mapping[str, object], version: str) -> dict[str, str]:
    """The parts of a request's URL that are in its key; of the query, the names of parameters."""
    scheme, host = plan.origin
    query = plan.query if plan.query is not None else scope["query_string"]
    pairs = query.split(b"&") if isinstance(query, bytes) and query else []
    return {
        "scheme": scheme,
        "host": host.decode("latin-1"),
        "root_path": str(scope["root_path"]),
        "path": str(scope["path"]),
        "query": ", ".join(dict.fromkeys(map(keys.name_of_pair, pairs))),
        "version": version,
    }


def log_shown(index: Index, *, trusted: bool) -> LogShown:
    """What is known of the log."""
    return LogShown(position=Position(gen=index.gen, seq=index.seq), trusted=trusted)


def templates_of(policy: Policy) -> tuple[str, ...]:
    """The tags of a rule's responses, as it states them."""
    texts = (*policy.tags, *policy.tags_from)
    return tuple(text.text if isinstance(text, Template) else named(text) for text in texts)
