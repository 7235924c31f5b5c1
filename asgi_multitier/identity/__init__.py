"""Who shares with whom: the name of an application, and what may not be one."""

from .application import Application, describe
from .names import is_telling, local_name, name_of_its_own

__all__ = ["Application", "describe", "is_telling", "local_name", "name_of_its_own"]
