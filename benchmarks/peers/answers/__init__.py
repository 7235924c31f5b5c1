"""The same endpoints behind each cache, to ask what it does rather than how fast it is."""
