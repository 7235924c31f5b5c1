"""Warm-up: asking one's own application for what clients ask for, before they do.

- `targets`: what is asked for, as users write it.
- `pace`: how many requests at once, and how fast.
- `report`: what became of them.
- `popularity`: how often targets are asked for, here and in all processes.
"""
