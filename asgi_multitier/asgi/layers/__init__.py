"""What the layers around the cache bring into a request: a user, a session, state.

A hit runs nothing of the application, so an answer that depends on one of these is its client's
alone, unless the rule says what separates the users.

    harmless    layers that do nothing to a request which the cache answers
    known       whether a layer has identified the user, before the application runs
    outside     what the run has made of session and state
    routed      the route, told to the layers where no router has run
    state       scope and state that note what the run reads
    server      the `Date` field, which servers add by themselves
"""

from .known import is_known
from .outside import Outside, publish
from .routed import Looking, Routed, routed_of, tell
from .server import begin_in_front, dated, take_date

__all__ = [
    "Looking",
    "Outside",
    "Routed",
    "begin_in_front",
    "dated",
    "is_known",
    "publish",
    "routed_of",
    "take_date",
    "tell",
]
