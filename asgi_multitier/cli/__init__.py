"""The command `asgi-multitier`: looking at a cache from a terminal, and steering it.

`main` reads the arguments and turns what happened into an exit code. Each subcommand is a file of
`commands`; what it writes goes through `output`, so that `--json` and `--no-color` hold for all.
"""
