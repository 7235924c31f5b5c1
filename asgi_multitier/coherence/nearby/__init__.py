"""The invalidation log of one machine's workers, without any server.

- log: the log, alone, in a file or on a server; peers: the sockets by which workers wake each other
- directory: the private directory of an application
"""

from .directory import namespaces
from .log import NearLog

__all__ = ["NearLog", "namespaces"]
