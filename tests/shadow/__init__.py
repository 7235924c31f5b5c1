"""Tests of `asgi_multitier.shadow`."""
