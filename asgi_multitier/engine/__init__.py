"""One cache of one process, for responses and values alike.

`engine` is its parts, `caller` how a request or call gets an answer from a run, `runs` what a run
does, `flights` the runs under way, `fleet` one run in all processes by a lease, `stack` the tiers
as one (`reads` and `writes` batches, `placed` a tier's border, `formats` bytes), `health` its
state, `document` what processes share besides entries.
"""
