"""Serialization of the cache manager's values.

The first byte of every stored value names its format: `j` JSON, `m` MessagePack, `b` raw bytes. So
after a change of serializer, stored values are misses instead of garbage, and a `bytes` value is
stored unchanged by every serializer.

`loads` returns only what the format can express: tuples and sets become lists, dates and UUIDs from
JSON become strings, dataclasses and models become dicts. `loads_as` restores an instance of a type;
`dumps_as` verifies at once that it will be equal. A value that a format would change silently, such
as NaN in JSON, is refused.

formats: the `Serializer` protocol, JSON and MessagePack
shapes:  instances of a type from plain objects
models:  the state of Pydantic models
plain:   the plain objects written in place of others
same:    whether a value that was read equals the one written
"""

from .formats import JsonSerializer, MsgPackSerializer, Serializer, dumps_as

__all__ = ["JsonSerializer", "MsgPackSerializer", "Serializer", "dumps_as"]
