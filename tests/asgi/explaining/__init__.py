"""Tests of `asgi_multitier.asgi.explaining`."""
