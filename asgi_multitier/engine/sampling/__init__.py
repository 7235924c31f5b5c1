"""Hits that are looked at: what they are like, and which of them is audited.

`doors` shows what answers hits. `sampler` looks at a few of them: which keys, how old, how large;
`frequent` counts keys within bounds. `picker` chooses one hit in so many.
"""

from .doors import Doors
from .frequent import Frequent
from .picker import Picker
from .sampler import Key, Sampler, Shapes

__all__ = ["Doors", "Frequent", "Key", "Picker", "Sampler", "Shapes"]
