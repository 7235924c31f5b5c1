"""Which attributes of requests explain that answers of one key differ.

Two measures are taken, in bits, and the larger one counts:

- *Returns*: with the same value an answer comes back, again and again, while others came between.
  It is the number of orders in which the answers could have come, over the number of those in which
  each value has one answer. Requests in a row with the same value and answer count once, so what
  merely changes with time gives nothing, and neither does a value that never comes back.
- *Contrasts*: of two requests that follow each other, those with different values have different
  answers, and those with the same value the same. It is compared within pairs that lie about the
  same time apart, so that an attribute which changes as slowly as the data gives nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import log2
from typing import Final

from ..policy.likelihood import UNLIKELY
from .bits import arrangements
from .record import Attribute
from .rows import Column, Key, rank

ENOUGH: Final = 5.0
"""Bits of evidence below which nothing is accused; one more for each doubling of what was tried."""

_QUIET_CUT: Final = 2.5
_DISTURBED_CUT: Final = 0.5
"""Bits that it costs to say that data have changed, without and with a sign of it."""

_PAIRED: Final = 12
"""Attributes that are tried two by two."""

_BROAD: Final = 4.0
"""Times apart count as about the same within a factor of two to the power of this."""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """An attribute that explains.

    Attributes:
        column: It, with those that explain equally.
        bits: The evidence.
    """

    column: Column
    bits: float

    @property
    def name(self) -> Attribute:
        """The likeliest."""
        return self.column.names[0]


def explain(keys: Sequence[Key], columns: Sequence[Column]) -> list[Chosen]:
    """The attributes that explain, at most three; none where the evidence does not suffice."""
    if not columns:
        return []
    needed = ENOUGH + log2(len(columns))
    chosen: list[Chosen] = []
    best = 0.0
    while len(chosen) < 3:  # more than that is no explanation
        taken = [one.column for one in chosen]
        left = [
            column
            for column in columns
            if column not in taken and (not taken or _helps(keys, taken, column))
        ]
        ranked = sorted(
            ((evidence(keys, [*taken, column]), -at) for at, column in enumerate(left)),
            reverse=True,
        )
        if ranked and ranked[0][0] - best >= needed:
            bits, at = _likely(ranked, left, best, needed)
            chosen.append(Chosen(left[-at], bits - best))
            best = bits
            continue
        if chosen:
            break
        found = _pair(keys, left[:_PAIRED], needed)
        if found is None:
            break
        chosen, best = found
    return chosen


def _helps(keys: Sequence[Key], taken: Sequence[Column], column: Column) -> bool:
    """Whether one more attribute explains what those before leave open."""
    before, pairs = _open(keys, taken)
    if before < _OPEN:
        return False
    after, less = _open(keys, [*taken, column])
    return after * pairs <= _HELP * before * less


def _open(keys: Sequence[Key], columns: Sequence[Column]) -> tuple[int, int]:
    """Changes between requests with the same values that no edit lies between, of how many."""
    changes = pairs = 0
    for key, groups in apart(keys, columns):
        for places in groups:
            for one, other in pairwise(places):
                if key.rows[one].epoch == key.rows[other].epoch:
                    pairs += 1
                    changes += key.rows[one].digest != key.rows[other].digest
    return changes, pairs


_OPEN: Final = 2
_HELP: Final = 0.9


def _likely(
    ranked: Sequence[tuple[float, int]], columns: Sequence[Column], before: float, needed: float
) -> tuple[float, int]:
    """The best one; in place of an unlikely one the best of the others, if it explains as well.

    What scripts of a page store has as many values as the visitors that accept it: it may divide
    their requests a little better than the session on which the answer depends.
    """
    best = ranked[0]
    if rank(columns[-best[1]].names[0]) < UNLIKELY:
        return best
    least = max(needed, (best[0] - before) / 2)
    for bits, at in ranked[1:]:
        if bits - before >= least and rank(columns[-at].names[0]) < UNLIKELY:
            return bits, at
    return best


def _pair(
    keys: Sequence[Key], columns: Sequence[Column], needed: float
) -> tuple[list[Chosen], float] | None:
    """Two attributes that explain only together."""
    tried = [(evidence(keys, pair), pair) for pair in combinations(columns, 2)]
    if not tried:
        return None
    bits, pair = max(tried, key=lambda one: one[0])
    if bits < needed + log2(len(tried)):
        return None
    return [Chosen(column, bits / 2) for column in pair], bits


def evidence(keys: Sequence[Key], columns: Sequence[Column]) -> float:
    """Bits by which values of these attributes together explain the answers."""
    returns, pairs = 0.0, Counter[tuple[int, bool, bool]]()
    for at, key in enumerate(keys):
        groups = groups_of(columns, at, len(key.rows))
        returns += _returns(key, groups)
        _pairs(key, groups, pairs)
    return max(returns, _contrasts(pairs))


def groups_of(columns: Sequence[Column], at: int, length: int) -> Sequence[object]:
    """The values of one key's rows, of several attributes together."""
    if len(columns) == 1:
        return columns[0].values[at]
    if not columns:
        return [0] * length
    return list(zip(*(column.values[at] for column in columns), strict=True))


def _returns(key: Key, groups: Sequence[object]) -> float:
    bits = 0.0
    answers: dict[object, int] = {}
    counts = Counter[int]()
    last: tuple[object, int] | None = None
    epoch = 0
    for row, group in zip(key.rows, groups, strict=True):
        digest = row.digest
        if answers.get(group, digest) != digest:
            bits += _of_stretch(answers, counts)
            bits -= _QUIET_CUT if row.epoch == epoch else _DISTURBED_CUT
            answers, counts = {}, Counter()
        epoch = row.epoch
        if (group, digest) == last and answers:
            continue
        last = (group, digest)
        answers[group] = digest
        counts[digest] += 1
    return bits + _of_stretch(answers, counts)


def _of_stretch(answers: dict[object, int], counts: Counter[int]) -> float:
    if len(counts) < 2:
        return 0.0
    return arrangements(counts.values()) - arrangements(Counter(answers.values()).values())


def may_explain(keys: Sequence[Key], chosen: Sequence[Column], columns: Sequence[Column]) -> bool:
    """Whether an attribute has one answer for each value, be there too little evidence or enough.

    Args:
        keys: The rows.
        chosen: What explains a part.
        columns: What may explain the rest.
    """
    return any(
        _has_one_answer_each(keys, [*chosen, column]) for column in columns if column not in chosen
    )


def _has_one_answer_each(keys: Sequence[Key], columns: Sequence[Column]) -> bool:
    again = 0
    for at, key in enumerate(keys):
        answers: dict[tuple[int, object], int] = {}
        for row, group in zip(key.rows, groups_of(columns, at, len(key.rows)), strict=True):
            known = answers.setdefault((row.epoch, group), row.digest)
            if known != row.digest:
                return False
        again += len(key.rows) - len(answers)
    return again >= _AGAIN


_AGAIN: Final = 3
"""Requests that have got the answer of an earlier one with the same value."""


def _pairs(key: Key, groups: Sequence[object], pairs: Counter[tuple[int, bool, bool]]) -> None:
    for at in range(1, len(key.rows)):
        before, row = key.rows[at - 1], key.rows[at]
        if before.epoch != row.epoch:
            continue
        apart = max(row.record.began - before.record.began, 1e-3)
        other, differs = groups[at] != groups[at - 1], row.digest != before.digest
        pairs[round(log2(apart) / _BROAD), other, differs] += 1


def _contrasts(pairs: Counter[tuple[int, bool, bool]]) -> float:
    bits = 0.0
    for stratum in {key[0] for key in pairs}:
        both, value = pairs[stratum, True, True], pairs[stratum, True, False]
        answer, neither = pairs[stratum, False, True], pairs[stratum, False, False]
        one_way = _table(both, value, answer, neither)
        bits += one_way if both * neither > value * answer else -one_way
    return bits


def _table(both: int, value: int, answer: int, neither: int) -> float:
    """Bits by which a table of four counts is rarer than the likeliest one with its sums."""
    changed, others = both + answer, value + neither
    usual = round((both + value) * changed / max(changed + others, 1))
    usual = min(max(usual, both + value - others), changed, both + value)
    likeliest = _orders(usual, both + value - usual, changed - usual, others - both - value + usual)
    return max(0.0, likeliest - _orders(both, value, answer, neither))


def _orders(both: int, value: int, answer: int, neither: int) -> float:
    return arrangements((both, value)) + arrangements((answer, neither))


def apart(keys: Sequence[Key], columns: Sequence[Column]) -> Iterable[tuple[Key, list[list[int]]]]:
    """The rows of each key by the values of these attributes, as places in its rows."""
    for at, key in enumerate(keys):
        groups: dict[object, list[int]] = {}
        for place, group in enumerate(groups_of(columns, at, len(key.rows))):
            groups.setdefault(group, []).append(place)
        yield key, list(groups.values())
