"""Making content in other codings: the compressors, and the thread that they run in."""

from .compressors import CODINGS, check_codings, compressed
from .worker import Compressor

__all__ = ["CODINGS", "Compressor", "check_codings", "compressed"]
