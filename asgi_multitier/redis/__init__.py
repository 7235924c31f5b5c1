"""Redis and Valkey. No other module of the package imports `redis`.

- client: connections, time-outs, errors; recipe, address: how they are made from what a user gave
- fakes: what a user gives of fakeredis, in tests
- cluster, packing: clients of a cluster, connections; both differ from redis-py's
- tier: the shared tier; lease: one run of the origin in a fleet; streams: of the application
- log, log_store: the invalidation log, its audit stream, its keys and permissions
- scripts: the scripts that run in the server
"""

from ..streams import StreamEntry
from .client import Link, connect
from .lease import Claim, Leases
from .log import RedisLog
from .log_store import StreamStore, namespaces
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
