"""How long tests wait for what is to come: longer than is promised, on a machine that is busy.

What is promised is measured, and printed as a figure beside its bound. A test fails where the thing
does not come at all, or where something that must not be seen is seen.
"""

PATIENCE = 10.0
"""Times what a wait takes at most where nothing else runs."""
