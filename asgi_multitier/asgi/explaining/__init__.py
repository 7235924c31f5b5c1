"""Explains what would become of a request, by the functions that decide it when it is sent.

explainer   what the manager asks: a door to one middleware
walk        the way of one request, without its effects
below       looking into the tiers: nothing is counted, moved or removed
shown       what is shown of plans, keys, entries and selectors
"""

from .explainer import Explainer

__all__ = ["Explainer"]
