"""The workers of one machine, which ask each other."""
