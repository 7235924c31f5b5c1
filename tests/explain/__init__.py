"""Tests of `asgi_multitier.explain`."""
