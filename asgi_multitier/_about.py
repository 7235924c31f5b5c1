"""What the package says of itself: its version, and where it is published."""

__version__ = "0.1.0"
"""The release. The only place where it stands: builds and all others read it here."""

REPOSITORY = "https://github.com/asgi-multitier/asgi-multitier"
DOCUMENTATION = "https://asgi-multitier.readthedocs.io/"
