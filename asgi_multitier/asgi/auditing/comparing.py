"""What a hit has sent, and what the application answers, as digests that can be compared."""

from typing import NamedTuple

from ..._types import Headers
from ...entry import StoredResponse
from ...policy.coding import decoded
from ...shadow import Answer
from ..shadowing.answers import answer_of
from ..shadowing.fingerprints import Fingerprints
from .asking import Asking

_NO_DIGEST = 0
"""Equal to none that is made of a content."""


class Pair(NamedTuple):
    """Both answers.

    Attributes:
        served: What the client got.
        fresh: What the application has answered.
    """

    served: Answer
    fresh: Answer

    @property
    def equal(self) -> bool:
        """Whether status and content are the same."""
        return self.served.digest == self.fresh.digest


def compared(digests: Fingerprints, stored: StoredResponse, asking: Asking) -> Pair | None:
    """Both answers, without their content codings; None if they cannot be compared.

    Field lines are not compared: many name the moment or the machine.

    Args:
        digests: Makes digests.
        stored: What the client got.
        asking: What the application has answered.
    """
    if not asking.is_conclusive:
        return None
    before, after = _plain(stored.headers, stored.body), _plain(asking.headers, asking.body)
    if (before is None) != (after is None) and not asking.too_long:
        return None
    content = stored.body if before is None else before
    served = answer_of(digests, stored.status, stored.headers, content)
    if asking.too_long:
        return Pair(served, Answer(asking.status, _NO_DIGEST))
    content = asking.body if after is None else after
    return Pair(served, answer_of(digests, asking.status, asking.headers, content))


def _plain(headers: Headers, body: bytes) -> bytes | None:
    """The content without its coding; None for one that is not known here."""
    try:
        return decoded(headers, body)
    except ValueError:
        return None
