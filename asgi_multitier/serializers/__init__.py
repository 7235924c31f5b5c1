"""Values <-> bytes for the cache manager.

The first byte of every stored value names its format: `j` JSON, `m` MessagePack, `b` the value's
own bytes. So a manager whose serializer was changed misses instead of reading garbage, and a value
that is `bytes` survives as it is under every serializer.

What comes back without a type is what the format can say: tuples and sets come back as lists, dates
and UUIDs from JSON as text, dataclasses and models as dicts. Ask with a type (`loads_as`) to get
them back whole; `dumps_as` says at once whether they will be. What a format would change without
a word, such as NaN in JSON, is refused.

`formats` has the two serializers, `shapes` what a type asks for, `models` the state of Pydantic
models, `plain` what is written in place of other objects.
"""

from .formats import JsonSerializer, MsgPackSerializer, Serializer, dumps_as

__all__ = ["JsonSerializer", "MsgPackSerializer", "Serializer", "dumps_as"]
