"""One cache of one process."""
