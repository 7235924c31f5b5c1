"""All instances of an application, as each of them tells of itself every few seconds.

- beat: what an instance tells, and its bytes; heart: the task that tells it
- instance, replacing, findings, fleet: what the beats of all show together
- seen: who has read the log up to a position; roster: reads all that
"""

from .findings import Finding
from .fleet import Fleet
from .instance import Instance
from .seen import Seen

__all__ = ["Finding", "Fleet", "Instance", "Seen"]
