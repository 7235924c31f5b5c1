"""What of a cache's texts is shown.

Keys, paths, names and tags may name users. Unless all is to be shown, a key is its digest, and of a
tag the part up to the first colon is left, which comes from the application's templates.
"""

from collections.abc import Iterable
from typing import Any

from ..policy.key import storage_key
from ..selectors import aliased

_LONGEST = 64
"""Characters of the longest beginning of a tag that is shown."""

HIDDEN = "*"

_NAMES_NOTHING_PERSONAL = ("route", "all")


class Shown:
    """Texts as they are shown.

    Args:
        everything: Whether nothing is left out.
    """

    __slots__ = ("everything",)

    def __init__(self, *, everything: bool) -> None:
        self.everything: bool = everything

    @staticmethod
    def key(key: str) -> str:
        """A key as its digest, which is also its name in shared tiers."""
        return storage_key(key)

    def text(self, text: str) -> str | None:
        """A path or a name; None if there is none, or it is left out."""
        return text if text and self.everything else None

    def tag(self, tag: str) -> str:
        """A tag, or its beginning and a star."""
        if self.everything:
            return tag
        head, colon, _ = tag.partition(":")
        return f"{head}:{HIDDEN}" if colon and len(head) <= _LONGEST else HIDDEN

    def tags(self, tags: tuple[str, ...]) -> list[str]:
        """The tags of an entry, without that which stands for another path; each once."""
        own = tags[1:] if aliased(tags) else tags
        return list(dict.fromkeys(map(self.tag, own)))

    def selectors(self, selectors: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
        """Selectors as JSON."""
        return [{"kind": kind, "text": self._named(kind, text)} for kind, text in selectors]

    def _named(self, kind: str, text: str) -> str:
        if kind in _NAMES_NOTHING_PERSONAL or self.everything:
            return text
        return self.tag(text) if kind == "tag" else HIDDEN
