"""A cache that only observes."""
