"""What hits are like, seen at a few of them: which keys, how old, how large.

`frequent` counts keys within bounds, `sampler` looks at hits.
"""

from .frequent import Frequent
from .sampler import Key, Sampler, Shapes

__all__ = ["Frequent", "Key", "Sampler", "Shapes"]
