"""asgi-multitier."""
