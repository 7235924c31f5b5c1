"""Warm-ups: what is asked for, and how."""
