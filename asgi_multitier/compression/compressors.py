"""Content codings that can be made here, and the packages that make them.

Content is compressed once and sent often, so the levels are higher than those of compression on the
fly: up to 0.1 s for 1 MB. All three let other threads run meanwhile.
"""

import zlib
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from ..errors import ConfigError

_ZSTD_LEVEL = 9
_BROTLI_QUALITY = 5
_GZIP_LEVEL = 6
_GZIP_WRAPPER = 16 + zlib.MAX_WBITS


def _installed(name: str) -> Any:
    """The module of this name, loaded at its first use; None without the extra `compression`."""
    try:
        return import_module(name)
    except ImportError:
        return None


def _zstd(content: bytes) -> bytes:
    return bytes(_installed("zstandard").ZstdCompressor(level=_ZSTD_LEVEL).compress(content))


def _br(content: bytes) -> bytes:
    return bytes(_installed("brotli").compress(content, quality=_BROTLI_QUALITY))


def _gzip(content: bytes) -> bytes:
    return zlib.compress(content, _GZIP_LEVEL, _GZIP_WRAPPER)


_COMPRESSORS: dict[bytes, Callable[[bytes], bytes]] = {b"zstd": _zstd, b"br": _br, b"gzip": _gzip}

CODINGS = tuple(_COMPRESSORS)
"""Lower-case names of the codings, in the order of preference."""


def compressed(content: bytes, coding: bytes) -> bytes:
    """Content in a coding, always the same bytes for the same content and package.

    Args:
        content: The content.
        coding: One of `CODINGS` that `check_codings` has accepted.
    """
    return _COMPRESSORS[coding](content)


def check_codings(codings: Sequence[bytes], *, option: str, where: str) -> None:
    """Refuse codings whose package is not installed; gzip needs none.

    Raises:
        ConfigError: If there are any.
    """
    packages = {b"zstd": "zstandard", b"br": "brotli"}
    needed = [packages[coding] for coding in codings if coding in packages]
    missing = [package for package in needed if _installed(package) is None]
    if missing:
        raise ConfigError(
            f"{where}: {option} needs {' and '.join(missing)}, not installed here; install "
            f'asgi-multitier[compression], or write {option}="gzip", which needs no package'
        )
