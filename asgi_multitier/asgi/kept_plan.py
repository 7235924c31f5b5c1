"""A plan as it is remembered: what one target has of its own, and what many have in common.

The garbage collector does not look into a `KeptPlan`: there is one for each target that is
remembered, and a full collection would visit them all. So no cycle may lead through one. It holds
texts and numbers of its own, and a `Common` that many share, which holds no object of the
application: settings, sets, counters. The rule, the route and the endpoint, through which an
application reaches its cache, are in the `Kind`, and to that leads a weak reference alone. `Kinds`
keeps the kinds; what needs more than a hit does takes a whole `Plan`, which holds all itself.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import itemgetter
from typing import Any, Final
from weakref import ref

import msgspec

from .._types import Scope
from ..entry import Slot
from ..events import Tally
from ..policy.negotiation import Accepting
from ..policy.reasons import Reason
from ..policy.request import Field
from ..policy.terms import Terms
from ..routing import Resolved, RouteTable
from .framework import request_of
from .layers import routed_of, tell
from .plan import TARGET, Plan
from .selected import Last

HOW: Final = ("root_path", "scheme", "http_version", "method")
"""What of a scope names how a target is asked, besides the Host; many targets have it in common."""

_target = itemgetter(*TARGET)

_MOST: Final = 1_000
"""Kinds of which something is kept; then those before are forgotten."""

_MOST_CHOSEN: Final = 64
"""Sets of fields that are remembered of what targets have in common."""

_PLAIN: Final = frozenset((str, bytes, int, float, bool, type(None)))
"""Types of parameters that refer to nothing."""


@dataclass(slots=True, eq=False, kw_only=True)
class Common:
    """What many targets have in common, as far as a hit needs it: no object of the application.

    Attributes:
        kind: The rest.
        routed: Whether its route is known, so that layers around the cache can be told of it.
        asks: Whether the rule's `vary_by` is asked before the general way.
        chosen: What those have in common for which further request fields choose.
        reason, prompt, alone, plain, terms, tally, separated, not_selecting, fields, read_cookies,
            accepting, by_coding, positions: See `Plan`.
    """

    kind: "ref[Kind]"
    routed: bool
    reason: Reason | None
    asks: bool
    prompt: bool
    alone: bool
    plain: frozenset[Field]
    terms: Terms
    tally: Tally
    separated: bool
    not_selecting: frozenset[Field]
    fields: frozenset[bytes]
    read_cookies: Callable[[bytes], object] | None
    accepting: Accepting
    by_coding: bool
    positions: bool
    chosen: "dict[frozenset[bytes], Common]" = field(default_factory=dict)

    def chosen_by(self, fields: frozenset[bytes]) -> "Common":
        """The same, where these request fields choose among several representations."""
        found = self.chosen.get(fields)
        if found is None:
            found = replace(self, fields=fields, alone=False, by_coding=False, chosen={})
            if len(self.chosen) < _MOST_CHOSEN:
                self.chosen[fields] = found
        return found


class KeptPlan(msgspec.Struct, eq=False, gc=False):
    """What is remembered of the plan of a target.

    Attributes:
        common: What it has in common with others.
        key: The primary key: see `Plan`.
        path: The scope's path.
        cut: Bytes of the raw path and of the question mark, where a query follows; else 0.
        slot: What lies under its key, as a hit found it last; see `hands`.
        origin: See `Plan`.
        params: The value of the path parameter; of several, all as a tuple.
        special: The query, the canonical texts of the parameters and the alias, where they are not
            the usual.
        last: What was found out last about a request that is not plain.
        stored: The general way may have stored something since, of which that is not known yet.
    """

    # What a hit reads comes first: it lies together in memory.
    common: Common
    path: str
    cut: int
    slot: Slot | None
    key: str
    last: Last | None
    stored: bool
    origin: tuple[str, bytes]
    params: Any
    special: tuple[bytes | None, tuple[str, ...] | None, tuple[str, ...]] | None

    def chosen_by(self, fields: Iterable[bytes]) -> Common:
        """Note that these request fields choose among several representations.

        Returns:
            What it has in common with others from here on.
        """
        known = self.common.fields
        if not known.issuperset(fields):
            self.common = self.common.chosen_by(known.union(fields))
        return self.common

    def whole(self) -> Plan | None:
        """The plan; None if its kind is forgotten, and the plan has to be made once more."""
        kind = self.common.kind()
        return None if kind is None else kind.plan_of(self)


class OwnPlan(KeptPlan, eq=False, gc=True):
    """One with parameters that may refer to anything: the garbage collector looks into it.

    Attributes:
        kind: Its kind.
        values: The path parameters.
    """

    kind: "Kind"
    values: Mapping[str, Any]


class Kind:
    """What holds for the targets of one route and rule, which are asked in like ways.

    Args:
        plan: The plan of one of them.
        router: The application's.
    """

    __slots__ = ("__weakref__", "_fields", "_names", "_plan", "_resolved", "_routed", "common")

    def __init__(self, plan: Plan, router: Any) -> None:
        usual = replace(plan.resolved, path_params=dict.fromkeys(plan.resolved.path_params))
        self._names = tuple(plan.resolved.path_params)
        self._routed = routed_of(plan.resolved, router)
        self._plan = replace(plan, key="", query=None, resolved=replace(usual, texts={}, alias=()))
        self._fields, self._resolved = _fields_of(self._plan), _fields_of(self._plan.resolved)
        self.common: Common = Common(
            kind=ref(self),
            routed=self._routed is not None,
            reason=plan.reason,
            asks=plan.vary_by is not None,
            prompt=plan.prompt,
            alone=plan.alone,
            plain=plan.plain,
            terms=plan.terms,
            tally=plan.tally,
            separated=plan.separated,
            not_selecting=plan.not_selecting,
            fields=plan.fields,
            read_cookies=plan.read_cookies,
            accepting=plan.accepting,
            by_coding=plan.by_coding,
            positions=plan.positions,
        )

    @property
    def plan(self) -> Plan:
        """A plan of this kind, without what one target has of its own."""
        return self._plan

    def ask(self, kept: KeptPlan, scope: Scope) -> Any:
        """What the rule's `vary_by` returns for a request of a target."""
        vary_by, content = self._plan.vary_by, b"" if self._plan.policy.body else None
        if vary_by is None:
            return None
        return vary_by(request_of(scope, self._params_of(kept), content))

    def tell(self, kept: KeptPlan, scope: Scope) -> None:
        """Tell the layers outside of the route, as a run of the application does."""
        if self._routed is not None:
            tell(scope, self._routed, self._params_of(kept))

    def _params_of(self, kept: KeptPlan) -> dict[str, Any]:
        names = self._names
        if not names:
            return {}
        if type(kept) is OwnPlan:  # `isinstance` takes 0.7 us for a class of msgspec's
            return dict(kept.values)
        return (
            {names[0]: kept.params}
            if len(names) == 1
            else dict(zip(names, kept.params, strict=True))
        )

    def plan_of(self, kept: KeptPlan) -> Plan:
        """The whole plan of a target."""
        common, resolved, query = kept.common, self._plan.resolved, None
        if resolved.path_params or kept.special is not None:
            values = self._params_of(kept)
            query, own, alias = kept.special or (None, None, ())
            texts = values if own is None else dict(zip(values, own, strict=True))
            own_values = {"path_params": values, "texts": texts, "alias": alias}
            resolved = Resolved(**self._resolved | own_values)
        plan = Plan(**self._fields)  # a third of the time of `replace`
        plan.key, plan.query, plan.origin, plan.resolved = kept.key, query, kept.origin, resolved
        plan.prompt, plan.alone = common.prompt, common.alone
        plan.fields, plan.by_coding = common.fields, common.by_coding
        return plan


def _fields_of(one: Any) -> dict[str, Any]:
    """What a dataclass is made with."""
    return {each.name: getattr(one, each.name) for each in fields(one) if each.init}


class Kinds:
    """Keeps the kinds of plans: a few for each route.

    Args:
        on_forget: Called when kinds are forgotten: their plans are to be forgotten as well.
        table: The routes.
    """

    __slots__ = ("_former", "_known", "_on_forget", "_table")

    def __init__(self, on_forget: Callable[[], None], table: RouteTable) -> None:
        self._known: dict[tuple[object, ...], Kind] = {}
        self._former = self._known  # for requests that are under way
        self._on_forget = on_forget
        self._table = table

    def kept(self, plan: Plan, scope: Scope) -> KeptPlan:
        """What is to be remembered of a plan.

        Args:
            plan: The plan.
            scope: A request of its target.
        """
        kind, resolved = self._kind_of(plan), plan.resolved
        params = tuple(resolved.path_params.values())
        usual = resolved.texts is resolved.path_params or not params
        texts = None if usual else tuple(resolved.texts.values())
        special = (plan.query, texts, resolved.alias)
        kept = KeptPlan(
            common=kind.common,
            path=scope["path"],
            cut=len(scope.get("raw_path") or b"") + 1 if scope.get("query_string") else 0,
            slot=None,
            key=plan.key,
            last=None,
            stored=False,
            origin=plan.origin,
            params=params[0] if len(params) == 1 else params,
            special=None if special == (None, None, ()) else special,
        )
        if _PLAIN.issuperset(map(type, params)):
            return kept
        own = {name: getattr(kept, name) for name in KeptPlan.__struct_fields__}
        return OwnPlan(**own | {"params": ()}, kind=kind, values=resolved.path_params)

    def _kind_of(self, plan: Plan) -> Kind:
        resolved = plan.resolved
        what = (
            plan.reason,
            plan.beneath,
            plan.prompt,
            plan.direct,
            plan.framed,
            resolved.reason,
            resolved.route,
            resolved.declared,
            *resolved.path_params,
            # What these are the identities of is in the plan that the kind holds.
            *map(id, (plan.policy, plan.terms, plan.tally, plan.vary_by, plan.veil)),
            *map(id, (resolved.policy, resolved.invalidations, resolved.endpoint, resolved.leaf)),
        )
        kind = self._known.get(what)
        if kind is None:
            if len(self._known) >= _MOST:
                self._former, self._known = self._known, {}
                self._on_forget()
            kind = self._known[what] = Kind(plan, self._table.router)
        return kind


def target_of(scope: Scope, host: bytes | None) -> tuple[bytes | None, tuple[object, ...]]:
    """All of a request that names its target; None where something is absent."""
    try:
        return host, _target(scope)
    except KeyError:
        return host, tuple(map(scope.get, TARGET))
