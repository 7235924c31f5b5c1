"""How a request finds its rule: marks on endpoints, and the application's route table."""

from .annotations import Marks, cached, invalidates, marks_of, no_cache

__all__ = ["Marks", "cached", "invalidates", "marks_of", "no_cache"]
