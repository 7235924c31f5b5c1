"""Which rule holds for a request, and what the rule's templates become for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

from ..config.policy import Policy
from ..config.rules import Invalidations
from ..config.templates import render_texts, within_bounds
from ..errors import InvalidationError
from ..events import UNROUTED
from .routes import Leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What holds for requests of one method, path and host.

    Attributes:
        reason: Why it is so: `annotation`, `rule`, `default`, `no-cache`, `no-rule`, `method` (the
            route does not take it, or its policy leaves it out), `invalidates` (the endpoint says
            that its POSTs are changes, whatever a rule says), `security` (the route checks who sent
            the request, and the rule does not say how users are told apart), `custom-match` (the
            code of a route decides which requests it takes), `match-error`.
        policy: How responses are cached; None if they are not.
        invalidations: What a success invalidates besides its own URL; None if nothing is named.
        endpoint: What the router is expected to choose; None if nothing is.
        route: The route's identity: its whole path template; "" if there is none.
        label: What its requests are counted under: the template; where there is none, the glob of
            the rule; else `"-"`.
        path_params: Converted path parameters.
        texts: The same as canonical texts, as templates get them.
        declared: Whether the endpoint itself says `no_cache`.
        inert: Whether its requests change nothing that is cached, and are not counted; see
            `annotations.inert`.
        alias: As a tag, the path with canonical parameters; empty if the path is canonical.
    """

    reason: str
    policy: Policy | None = None
    invalidations: Invalidations | None = None
    endpoint: Any = None
    route: str = ""
    label: str = UNROUTED
    path_params: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    declared: bool = False
    inert: bool = False
    alias: tuple[str, ...] = ()
    leaf: Leaf | None = field(default=None, repr=False, compare=False)

    def values(self, query: bytes) -> dict[str, tuple[str, ...]]:
        """What templates are filled from: path and query parameters, each with all its values.

        One value counts where the endpoint declares that it takes one: the last. A parameter that
        it declares as a list, and a name that it does not declare at all, has all that were sent.
        Where a FastAPI route declares a number, a truth value or a UUID, the text is canonical, so
        that `/products/007` and `/products/7` carry the same tag. A parameter that was not sent has
        the default that the route's signature states; without one it is absent, and a template
        renders it as nothing.
        """
        sent: dict[str, dict[str, None]] = {}
        for name, text in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            texts = sent.setdefault(name, {})
            texts.pop(text, None)  # the last that was sent stands last
            texts[text] = None
        values = {name: tuple(texts) for name, texts in sent.items()}
        if self.leaf is not None:
            for name, declared in self.leaf.declared.items():
                if declared.alias in sent:
                    values[name] = declared.read_all(tuple(sent[declared.alias]))
                elif default := declared.default():
                    values[name] = default
        return values | {name: (text,) for name, text in self.texts.items()}

    def name_and_tags(
        self, values: Mapping[str, Sequence[str]], request: object
    ) -> tuple[str, tuple[str, ...]] | None:
        """The name and the tags of a response; None if it may not have them: it is not stored.

        Parameters with several values would give it several names, and it can be found by one. An
        exception of a callable in `tags=` reaches the caller.
        """
        tags = self.tags(values, request)
        if tags is None:
            return None
        tags = self.alias + tags
        key = self.policy.key if self.policy is not None else None
        if key is None:
            return "", tags
        names = list(islice(key.each(values), 2))
        return (names[0], tags) if len(names) == 1 else None

    def tags(self, values: Mapping[str, Sequence[str]], request: object) -> tuple[str, ...] | None:
        """The tags of a response; None if they are beyond bounds: then it is not stored.

        An exception of a callable in `tags=` reaches the caller.
        """
        if self.policy is None:
            return ()
        try:
            tags = render_texts(self.policy.tags, values, request)
        except InvalidationError:  # far more than a response may carry
            return None
        return tuple(tags) if within_bounds(tags) else None
