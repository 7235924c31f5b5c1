"""What `CacheManager.explain` returns: what would become of one request, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, StrEnum, unique
from typing import Any

from ..policy.cache_status import Forward
from ..policy.reasons import Reason


@unique
class Verdict(StrEnum):
    """What would become of a request."""

    HIT = "hit"
    """A fresh stored response is the answer."""

    STALE = "stale"
    """A stored response past its lifetime is the answer, and is renewed in the background."""

    MISS = "miss"
    """Nothing is stored: the application is asked, and its response is stored if it may be."""

    EXPIRED = "expired"
    """What is stored is past its lifetime: the application is asked."""

    DROPPED = "dropped"
    """What is stored was invalidated: the application is asked."""

    VALIDATE = "validate"
    """What is stored is fresh, and the request or the response wants the application asked first.
    """

    REFUSED = "refused"
    """The application is asked, and its response is not stored, as is known from the last one or
    from the request."""

    BYPASS = "bypass"
    """The request does not meet the cache."""

    CHANGE = "change"
    """The request may change something: the application is asked, and its success drops entries."""

    UNKNOWN = "unknown"
    """That depends on something that was not asked: see `Explanation.unknown`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleShown:
    """The rule that holds for a request.

    Attributes:
        route: The route's path template; the glob of the rule where no route is known.
        endpoint: The route with its methods and its endpoint; "" where no route is known.
        chosen_by: `annotation`, `rule`, `default`, or why there is no rule: `no-cache`, `no-rule`,
            `method`, `invalidates`, `security`, `custom-match`, `match-error`.
        lifetime: Seconds that a response is fresh; None if its own fields decide, or there is no
            rule.
        guarded: Whether the framework checks each request before a hit.
    """

    route: str
    endpoint: str
    chosen_by: str
    lifetime: float | None
    guarded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyShown:
    """The key of a request's stored response.

    Attributes:
        digest: The name under which shared tiers hold it.
        parts: The names of what is in it: `scheme`, `host`, `path`, `query`, `field:accept` ...
        values: The same with their values, where they are revealed; those of request fields,
            cookies and of `vary_by=` never are.
    """

    digest: str
    parts: tuple[str, ...]
    values: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position in the invalidation log.

    Attributes:
        gen: The log's generation.
        seq: The number of the last record.
    """

    gen: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogShown:
    """What this process knows of the invalidation log.

    Attributes:
        position: The last record that it has applied.
        trusted: Whether it is up to date, as far as it knows.
    """

    position: Position
    trusted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Why an entry is not valid any more.

    Attributes:
        cause: `selector`: a record names it. `forgotten`: it is older than what this process
            remembers of the log. `generation`: the log it was born in was replaced. `untrusted`:
            the log has not been heard of for too long.
        kind: The kind of the selector: `tag`, `path`, `route` ...; "" for other causes.
        text: Its text, without values unless revealed.
        record: The number of its last record in the log; 0 if that is not known yet.
        pending: Whether this process has begun it, and has not seen it back in the log.
        held: Whether it holds until its origin has settled (`settle=`).
    """

    cause: str
    kind: str = ""
    text: str = ""
    record: int = 0
    pending: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryShown:
    """What one tier holds for a request.

    Attributes:
        tier: The tier's level.
        name: Its back end.
        kind: `response`, or `variants`: a note that request fields choose among several.
        key: The digest of its key.
        state: `fresh`, `stale` (usable as such), `expired`, `dropped`.
        status: The status code; None for `variants`.
        size: Bytes accounted for it in memory; bytes of the body elsewhere.
        age: Seconds since its age was 0.
        ttl: Seconds of freshness that are left; negative past that.
        keep: Seconds after which it is of no use at all.
        born: The position in the log at which its run began.
        uses: Requests that it has answered, as far as the tier counts them; None elsewhere.
        vary: Names of the request fields that choose, for `variants`.
        tags: Its tags, without values unless revealed.
        dropped_because: Why it is not valid any more.
    """

    tier: int
    name: str
    kind: str
    key: str
    state: str
    status: int | None
    size: int
    age: float
    ttl: float
    keep: float
    born: Position
    uses: int | None
    vary: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    dropped_because: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one route drops by one selector.

    Attributes:
        by: The route, with its methods and its endpoint; for what is asked about itself, "".
        kind: `tag`, `path`, `route`, `pattern`, or `url`: its own URL.
        text: The template as the route states it; the name of a callable; revealed, the text.
        matches: Which tag, path or route it drops; "" where that is not known.
        certain: False where a callable says what is dropped or what is carried, so that it is not
            known whether they meet.
    """

    by: str
    kind: str
    text: str
    matches: str = ""
    certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What would become of a request that was not sent.

    Attributes:
        verdict: What would become of it.
        reason: Why, as `Cache-Status` says it; None if there is nothing to say.
        forward: Why it would go to the application, as `Cache-Status` says it; None if it would
            not, or that is not known.
        sentence: The same in a sentence.
        remedy: What to write for it to be a hit; "" if there is nothing to do.
        docs: The page of the documentation, and the place in it; "" if there is none.
        method: The request's.
        tier: The level of the tier that has what is served; None where the application is asked.
        rule: The rule that holds for it; None if it is not known.
        key: Its key; None if it has none, or what it needs was not asked.
        tags: The templates of the tags of its response; revealed, the tags.
        entries: What each tier that was asked holds for it.
        dropped_by: Which routes drop its response.
        drops: What its success drops, where it changes something.
        log: What this process knows of the invalidation log; None if no cache runs.
        unknown: What was not asked and may decide: `vary_by`, `when`, `enabled`, `tags`, `guard`,
            `validator`, `shared`, `silent`.
    """

    verdict: Verdict
    sentence: str
    method: str
    reason: Reason | None = None
    forward: Forward | None = None
    remedy: str = ""
    docs: str = ""
    tier: int | None = None
    rule: RuleShown | None = None
    key: KeyShown | None = None
    tags: tuple[str, ...] = ()
    entries: tuple[EntryShown, ...] = ()
    dropped_by: tuple[Effect, ...] = ()
    drops: tuple[Effect, ...] = ()
    log: LogShown | None = None
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.verdict.upper()}  {self.sentence}"]
        if self.remedy:
            lines.append(f"fix  {self.remedy}" + (f"  ({self.docs})" if self.docs else ""))
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """What `json.dumps` takes: dictionaries, lists, texts, numbers, truth values and None."""
        found: dict[str, Any] = plain(self)
        return found


def plain(value: Any) -> Any:
    """A dataclass and what it holds as `json.dumps` takes it; infinite numbers become None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
