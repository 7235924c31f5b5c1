"""Tests of what instances tell of themselves."""
