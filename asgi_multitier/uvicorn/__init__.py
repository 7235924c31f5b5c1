"""uvicorn's protocols with the cache in front: a plain hit makes no scope, no cycle and no task.

    uvicorn app:app --http asgi_multitier.uvicorn:HttpToolsProtocol
    uvicorn app:app --http asgi_multitier.uvicorn:H11Protocol

They ask the `CacheMiddleware` of the application, where it is the outermost layer that could change
an answer; everything that it does not answer at once goes to uvicorn's own protocol.

    versions        which versions of uvicorn
    outermost       where the cache stands in the application
    heads           the head of a response as bytes
    remembered      requests by their bytes
    front           what the connections of one server share
    connection      what both protocols do for an answer
    httptools_protocol, h11_protocol    the protocols
"""

from typing import TYPE_CHECKING, Any

import uvicorn

from ..errors import ConfigError
from .versions import check

if TYPE_CHECKING:
    from .h11_protocol import H11Protocol
    from .httptools_protocol import HttpToolsProtocol

__all__ = ["HttpToolsProtocol", "H11Protocol"]

check(uvicorn.__version__)


def __getattr__(name: str) -> Any:
    """A protocol, whose parser is imported with it: the other one need not be installed.

    Raises:
        ConfigError: If its parser is not installed.
    """
    if name == "HttpToolsProtocol":
        try:
            from .httptools_protocol import HttpToolsProtocol
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"asgi_multitier.uvicorn: {name} needs {error.name}, not installed here; install "
                "asgi-multitier[uvicorn], or write --http asgi_multitier.uvicorn:H11Protocol"
            ) from error
        return HttpToolsProtocol
    if name == "H11Protocol":
        from .h11_protocol import H11Protocol

        return H11Protocol
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
