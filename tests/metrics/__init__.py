"""Meters, and what reads them."""
