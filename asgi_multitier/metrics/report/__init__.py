"""The statistics as JSON: of one process, or summed over the workers of its machine.

`counted` reads what adds up, `summed` adds it, `shown` adds what follows from it: shares, means,
quantiles.
"""

from .counted import Counted, counted, routes_of
from .shown import Routes, shown
from .summed import summed

__all__ = ["Counted", "Routes", "counted", "routes_of", "shown", "summed"]
