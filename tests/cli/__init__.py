"""Tests of the command `asgi-multitier`."""
