"""Everything that speaks to Redis or Valkey. Nothing else in the package imports `redis`."""

from ..streams import StreamEntry
from .client import Link, connect
from .lease import Claim, Leases
from .log import RedisLog
from .log_store import StreamStore
from .names import namespaces
from .streams import RedisStreams
from .tier import RedisTier

__all__ = [
    "Claim",
    "Leases",
    "Link",
    "RedisLog",
    "RedisStreams",
    "RedisTier",
    "StreamEntry",
    "StreamStore",
    "connect",
    "namespaces",
]
