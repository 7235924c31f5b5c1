"""Applications and a cache as the ledger sees them, played with a clock that is moved by hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asgi_multitier import Policy
from asgi_multitier.shadow import Answer, Edit, Ledger, Observation, RouteReport, Traits


@dataclass(frozen=True)
class Asked:
    """A request as an application sees it."""

    path: str
    fields: Mapping[str, str]
    cookies: Mapping[str, str]
    query: Mapping[str, str]
    user: str
    client: str
    now: float


Application = Callable[[Asked], Any]


def digest(value: object) -> int:
    """A digest that differs for different values, and is never 0."""
    return hash(("digest", repr(value))) & ((1 << 64) - 1) or 1


def _places(value: object, place: str = "$") -> dict[str, int]:
    named: list[tuple[str, object]] = []
    if isinstance(value, dict):
        named = [(f"{place}.{name}", one) for name, one in value.items()]
    elif isinstance(value, list):
        named = [(f"{place}[{at}]", one) for at, one in enumerate(value)]
    else:
        return {place: digest(value)}
    return {at: found for name, one in named for at, found in _places(one, name).items()}


def answer_of(value: object) -> Answer:
    """An answer with this content; a mapping is JSON, of which the places are known."""
    json = isinstance(value, dict)
    return Answer(
        200,
        digest(value),
        len(repr(value)),
        _places(value) if json else None,
        b"application/json" if json else b"text/html",
    )


@dataclass
class Play:
    """One application behind a cache in shadow mode.

    Attributes:
        application: What answers.
        route: The label of the route.
        lifetime: Seconds of its rule; None for none.
        tags: Tags of an entry, by its path.
        ledger: What is told.
        now: The clock.
    """

    application: Application
    route: str = "GET /prices/{id}"
    lifetime: float | None = 300.0
    tags: Callable[[str], frozenset[str]] = lambda _: frozenset()
    ledger: Ledger = field(default_factory=Ledger)
    now: float = 1000.0
    policy: Policy | None = None
    number: int = 0
    stored: dict[str, Observation] = field(default_factory=dict)

    def get(
        self,
        path: str = "/prices/1",
        *,
        fields: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        user: str = "",
        client: str = "10.0.0.1",
        after: float = 1.0,
    ) -> Observation:
        """Some seconds pass, and a request comes."""
        self.now += after
        asked = Asked(path, fields or {}, cookies or {}, query or {}, user, client, self.now)
        self.number += 1
        entry = self.stored.get(path)
        if entry is not None and self.now - entry.ended >= (self.lifetime or 0.0):
            entry = None
        traits = Traits(
            {name.encode(): digest(value) for name, value in asked.fields.items()},
            {name: digest(value) for name, value in asked.cookies.items()},
            {name: digest(value) for name, value in asked.query.items()},
            digest(client) if client else 0,
            digest(user) if user else 0,
        )
        found = Observation(
            route=self.route,
            key=path,
            path=path,
            began=self.now,
            ended=self.now + 0.01,
            traits=traits,
            answer=answer_of(self.application(asked)),
            would="no-rule" if self.lifetime is None else "miss" if entry is None else "hit",
            lifetime=self.lifetime,
            tags=self.tags(path),
            hit=entry.number if entry is not None else 0,
            served=entry.answer if entry is not None else None,
            number=self.number,
        )
        if entry is None and self.lifetime is not None:
            self.stored[path] = found
        self.ledger.observed(found)
        return found

    def tell(self, path: str, answer: Answer) -> None:
        """A second passes, and a request without a rule is answered so."""
        self.now += 1.0
        self.number += 1
        self.ledger.observed(
            Observation(self.route, path, path, self.now, self.now, Traits(), answer, "no-rule")
        )

    def put(
        self,
        path: str = "/prices/1",
        *,
        route: str = "PUT /prices/{id}",
        selectors: tuple[str, ...] = (),
        drops: tuple[str, ...] = (),
        after: float = 1.0,
    ) -> Edit:
        """Some seconds pass, and a mutation comes, which drops the entries of these paths."""
        self.now += after
        dropped = sum(self.stored.pop(one, None) is not None for one in drops)
        edit = Edit(route, path, self.now, self.now + 0.01, self.now + 0.01, selectors, dropped)
        self.ledger.edited(edit)
        return edit

    def report(self) -> RouteReport:
        """What was found of the route."""
        if self.policy is not None:
            self.ledger.ruled(self.route, self.policy)
        (found,) = [one for one in self.ledger.report().routes if one.route == self.route]
        return found
