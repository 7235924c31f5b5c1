"""How a request finds its rule: marks on endpoints, and the application's route table."""

from .annotations import Marks, cached, invalidates, marks_of, no_cache
from .routes import route_path
from .table import Resolved, RouteTable

__all__ = [
    "Marks",
    "Resolved",
    "RouteTable",
    "cached",
    "invalidates",
    "marks_of",
    "no_cache",
    "route_path",
]
