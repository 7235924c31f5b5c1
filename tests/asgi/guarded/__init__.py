"""Guarded routes."""
