"""Who shares with whom: the name of an application, and what may not be one."""

from .application import Application, describe
from .loading import application_of, caches_of, load
from .names import is_telling, local_name, name_of_its_own

__all__ = [
    "Application",
    "application_of",
    "caches_of",
    "describe",
    "is_telling",
    "load",
    "local_name",
    "name_of_its_own",
]
