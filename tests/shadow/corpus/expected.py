"""What is to be found out about an application of the corpus."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """A carelessness as a report should tell it.

    Attributes:
        route: The route whose answers are wrong, "GET /prices/{sku}".
        cause: What kind of carelessness.
        name: The field, cookie, parameter or change; None if the kind says it all.
        place: Where in the JSON body answers differ; None where that is not asked for.
        fits: The most seconds that the lifetime in the report may have; None where that is not
            asked for.
        alternatives: Further pairs of cause and name that describe the same equally well. A name of
            None allows any.
    """

    route: str
    cause: str
    name: str | None = None
    place: str | None = None
    fits: float | None = None
    alternatives: tuple[tuple[str, str | None], ...] = ()

    def is_of(self, method: str, path: str) -> bool:
        """Whether a request asked for this route."""
        return is_asked(self.route, method, path)


def is_asked(label: str, method: str, path: str) -> bool:
    """Whether a request of this method and path is one of a route, by the route's label."""
    own_method, _, template = plain(label).partition(" ")
    pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
    return method == own_method and re.fullmatch(pattern, path) is not None


def plain(label: str) -> str:
    """A route's label without the kinds of its parameters: "GET /a/{n:int}" is "GET /a/{n}"."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", label)
