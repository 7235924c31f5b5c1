"""`python -m asgi_multitier`: the same as the command `asgi-multitier`."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
