"""Two instances and their shared server, each in a process of its own, and what starts them.

`running` starts all, `fleet` kills and restarts parts, `control` is the page with the buttons for
that, `guard` says who may press them, `burst` sends many requests at once, `load` measures, and
`guide` is the text in the terminal.
"""
