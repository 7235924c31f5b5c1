"""Measurements of the figures in README.md and benchmarks/README.md."""
