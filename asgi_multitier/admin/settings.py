"""The settings in force, and where they come from."""

import platform
from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from .._about import __version__
from ..config.process import CacheConfig

_SECRET = ("secret", "token")
_SET = "set"


def settings(config: CacheConfig, origins: Mapping[str, str]) -> dict[str, Any]:
    """All settings: of secrets only whether they are set, of URLs no user and no password.

    Args:
        config: The settings.
        origins: Where those come from that are not the default.
    """
    listed = [
        {
            "name": setting.name,
            "value": _shown(setting.name, getattr(config, setting.name)),
            "from": origins.get(setting.name, "default"),
        }
        for setting in fields(config)
    ]
    versions = {"asgi-multitier": __version__, "python": platform.python_version()}
    return {"settings": listed, "versions": versions}


def _shown(name: str, value: Any) -> Any:
    if name.endswith(_SECRET):
        return None if value is None else _SET
    if isinstance(value, str) and name.endswith("_url"):
        return _plain(value)
    if isinstance(value, frozenset):
        return sorted(item.decode("latin-1") for item in value)
    return value


def _plain(url: str) -> str:
    """The URL without what may be secret: user, password, query and fragment."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}"
