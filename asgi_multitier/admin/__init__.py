"""An application for operators: what a cache holds and does, and how to drop entries by hand.

`application` is what is mounted, with the table of its paths. `rights` says who may ask,
`hosts` under which names, `failures` how often one may fail. `reading` takes requests apart and
`replies` makes answers; `shown` leaves out what belongs to users. The others answer: `asking`,
`entries`, `invalidating`, `overview`, `settings`, `warming`, `watching`; `others` asks the other
workers of this machine.
"""
