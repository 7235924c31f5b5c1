"""An explanation while it is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...engine.engine import Engine
from ...explain.effects import carried_by
from ...explain.explanation import Effect, Explanation, KeyShown, RuleShown, Verdict
from ...explain.question import Question
from ...explain.sentences import said
from ...policy.cache_status import Forward
from ...policy.reasons import Reason
from ...routing import Resolved
from ..admission import Refused
from .below import Sight
from .shown import Redaction, log_shown, rule_shown


@dataclass(slots=True)
class Draft:
    """What is known so far of what would become of a request.

    Args:
        question: What is asked about.
        sight: What is seen in the tiers.

    Attributes:
        verdict, reason, forward, rule, key, tags, dropped_by, drops, unknown: See `Explanation`.
        labels: The name and the tags of its response; None if they are not known, or not allowed.
        failed: The option whose callable has raised, and what it has raised.
        tier, ttl: Of what is stored: the level of its tier, and seconds of freshness left.
        redaction: What is shown of texts.
    """

    question: Question
    sight: Sight
    verdict: Verdict = Verdict.UNKNOWN
    reason: Reason | None = None
    forward: Forward | None = None
    rule: RuleShown | None = None
    key: KeyShown | None = None
    tags: tuple[str, ...] = ()
    labels: tuple[str, tuple[str, ...]] | None = None
    dropped_by: Sequence[Effect] = ()
    drops: Sequence[Effect] = ()
    unknown: dict[str, None] = field(default_factory=dict)
    failed: str = ""
    tier: int = 1
    ttl: float = 0.0

    @property
    def redaction(self) -> Redaction:
        """What is shown of texts."""
        return self.sight.redaction

    def take_rule(self, resolved: Resolved) -> None:
        """The rule that holds is known."""
        self.rule = rule_shown(resolved)
        policy = resolved.policy
        carried = () if policy is None else carried_by((*policy.tags, *policy.tags_from))
        self.sight.redaction = Redaction(self.question.reveal, resolved.label, carried)

    def end(
        self, verdict: Verdict, reason: Reason | None = None, forward: Forward | None = None
    ) -> None:
        """What would become of it is known."""
        self.verdict, self.reason, self.forward = verdict, reason, forward

    def bypass(self, reason: Reason) -> None:
        """It does not meet the cache."""
        self.end(Verdict.BYPASS, reason, Forward.BYPASS)

    def leave(self, *parts: str) -> None:
        """These were not asked."""
        self.unknown.update(dict.fromkeys(parts))

    def note(self, refused: Refused) -> None:
        """A callable may have raised."""
        if refused.failed is not None and refused.error is not None:
            self.fail(refused.failed, refused.error)

    def fail(self, option: str, error: Exception) -> None:
        """A callable of an option has raised. What it says may name a user, so it is not told."""
        self.failed = f"{option}= has raised {type(error).__name__}"

    def explanation(self, method: str, engine: Engine) -> Explanation:
        """The whole of it."""
        told = said(
            self.verdict,
            self.reason,
            tier=self.tier,
            ttl=self.ttl,
            unknown=self.unknown,
            dropped=self.sight.dropped,
            failed=self.failed,
        )
        return Explanation(
            verdict=self.verdict,
            reason=self.reason,
            forward=self.forward,
            sentence=told.sentence,
            remedy=told.remedy,
            docs=told.docs,
            method=method,
            tier=self.tier if self.verdict in (Verdict.HIT, Verdict.STALE) else None,
            rule=self.rule,
            key=self.key,
            tags=self.tags,
            entries=tuple(self.sight.entries),
            dropped_by=tuple(self.dropped_by),
            drops=tuple(self.drops),
            log=log_shown(engine.index, trusted=engine.log.trusted),
            unknown=tuple(self.unknown),
        )
