"""Workers of one application on one machine hear each other, without any server."""

from .directory import namespaces
from .log import NearLog

__all__ = ["NearLog", "namespaces"]
