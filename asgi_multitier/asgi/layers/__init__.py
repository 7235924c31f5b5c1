"""What the layers around the cache bring into a request: who asks, a session, state.

A hit runs nothing of the application, so an answer that depends on one of these is its client's
alone, unless the rule says what separates the users. `known` asks what can be seen before the
application runs, `outside` what its run has made of it, `state` notes what it has read. `body`
asks whether there is one. `server` is about the one field that a server adds by itself.
"""

from .body import opened
from .known import is_known
from .outside import Outside
from .server import dated, take_date

__all__ = ["Outside", "dated", "is_known", "opened", "take_date"]
