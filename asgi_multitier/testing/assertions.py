"""Assertions about responses of a cached application, whose failures say what to do."""

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, NoReturn, TypeAlias

from ..explain.advice import DOCS, advice
from ..policy.cache_status import Forward
from ..policy.status_field import CacheStatus, cache_status

Asking: TypeAlias = str | tuple[Any, ...] | Callable[[], Any] | Any
"""How a request is given: `"PUT /books/1"`, `("PUT", "/books/1", {"json": book})`, a request of
httpx, or a function that sends it and returns the response."""

_Steps: TypeAlias = Generator[Callable[[], Any], Any, None]

_NO_FIELD = (
    "the response has no member of asgi-multitier in Cache-Status: no CacheMiddleware has seen it."
    " Add app.add_middleware(CacheMiddleware), and ask the application that has it"
)


def assert_hit(response: Any) -> None:
    """Assert that the response came from the cache, fresh or stale.

    Args:
        response: Of any test client; see `cache_status`.

    Raises:
        AssertionError: If it did not; the message says why.
    """
    status = _status(response, "a hit")
    if not status.hit:
        _fail("a hit", status, _why_no_hit(status))


def assert_stored(response: Any) -> None:
    """Assert that the application answered and its response was stored. See `assert_hit`."""
    status = _status(response, "a stored response")
    if status.hit:
        _fail(
            "a response that the application gave and that was stored",
            status,
            "it was in the cache before: caches are empty at the start of a test, so something in"
            " this test or its fixtures has asked for it already",
        )
    if not status.stored:
        _fail("a stored response", status, _why(status) or _why_not_stored(status))


def assert_bypassed(response: Any, reason: str | None = None) -> None:
    """Assert that the request passed by the cache.

    Args:
        response: Of any test client; see `cache_status`.
        reason: The word that `detail` is to be, such as `"authorization"`; None for any.

    Raises:
        AssertionError: If it did not, or for another reason.
    """
    wanted = "a bypass" if reason is None else f"a bypass because of {str(reason)!r}"
    status = _status(response, wanted)
    if status.forward != Forward.BYPASS:
        _fail(
            wanted,
            status,
            "the response is shared with other requests: if it belongs to one user, say so with"
            " vary_by=, or take the route out with @no_cache",
        )
    if reason is not None and status.detail != reason:
        _fail(wanted, status, f"the reason is {status.detail!r}: {_why(status)}")


def assert_invalidates(client: Any, request: Asking, urls: str | Iterable[str]) -> Any:
    """Assert that a request drops what is stored for these URLs.

    Each URL is asked until it is a hit; then the request is sent; then each must be a miss.

    Args:
        client: A test client, sync or async. With an async one, await the result.
        request: `"PUT /books/1"`, `("PUT", "/books/1", {"json": book})` with what the client's
            `request` takes, a request of httpx, or a function that sends it.
        urls: What is to be dropped.

    Raises:
        AssertionError: If a URL cannot be cached, the request fails, or a URL is a hit after it.
    """
    return _driven(client, _invalidates(client, request, urls))


def assert_varies_on(
    client: Any, url: str, field: str, values: Sequence[str] | None = None, **options: Any
) -> Any:
    """Assert that each value of a request field, cookie or query parameter has its own response.

    Args:
        client: A test client, sync or async. With an async one, await the result.
        url: What is asked for.
        field: The name of a request field, or `"cookie:NAME"`, or `"query:NAME"`.
        values: Two values; None for two that fit the field.
        **options: What else the client's `get` takes.

    Raises:
        AssertionError: If one value is answered with the copy of the other, or none is stored.
    """
    first, second = values or _VALUES.get(field.lower(), ("one", "two"))
    return _driven(client, _varies(client, url, field, (first, second), options))


# The steps, for clients of both kinds.


def _invalidates(client: Any, request: Asking, urls: str | Iterable[str]) -> _Steps:
    listed = [urls] if isinstance(urls, str) else list(urls)
    if not listed:
        raise AssertionError("assert_invalidates: urls is empty, so nothing is checked; name some")
    for url in listed:
        yield from _warmed(client, url)
    done = yield _sending(client, request)
    code = getattr(done, "status_code", 200)
    if not 200 <= code < 400:
        raise AssertionError(
            f"assert_invalidates: the request {_named(request)} was answered {code}, and only a"
            " success drops anything; send one that succeeds"
        )
    for url in listed:
        status = _status((yield _getting(client, url)), "a miss")
        if status.hit:
            _fail(
                f"a miss for {url} after {_named(request)}",
                status,
                f"what was stored for {url} is still used: add it to @invalidates(...) of that"
                f" route, as tags= that its @cached names too, or as paths=[{_path(url)!r}]",
            )


def _varies(
    client: Any, url: str, field: str, values: tuple[str, str], options: dict[str, Any]
) -> _Steps:
    first, second = (_with(url, field, value, options) for value in values)
    yield from _warmed(client, *first)
    status = _status((yield _getting(client, *second)), "a miss")
    if status.hit:
        _fail(
            f"{url} to have a response of its own for {field}: {values[1]}",
            status,
            f"it got the one for {values[0]!r}: the key does not cover {field}. {_cover(field)}",
        )
    yield from _warmed(client, *second)
    yield from _warmed(client, *first, looks=1)


def _warmed(client: Any, url: str, options: Any = None, *, looks: int = 3) -> _Steps:
    """Ask until the answer is a hit."""
    for _ in range(looks):
        status = _status((yield _getting(client, url, options)), f"a hit for {url}")
        if status.hit:
            return
    _fail(f"a hit for {url} when it is asked again", status, _why_no_hit(status))


def _driven(client: Any, steps: _Steps) -> Any:
    """Run the steps; with an async client, return what runs them when it is awaited."""
    try:
        answer = next(steps)()
    except StopIteration:
        return None
    if isawaitable(answer):
        return _awaited(steps, answer)
    try:
        while True:
            answer = steps.send(answer)()
            if isawaitable(answer):
                raise TypeError(f"{client!r} answers some requests with an awaitable, others not")
    except StopIteration:
        return None


async def _awaited(steps: _Steps, answer: Awaitable[Any]) -> None:
    try:
        while True:
            answer = steps.send(await answer)()
    except StopIteration:
        return


def _getting(client: Any, url: str, options: Mapping[str, Any] | None = None) -> Callable[[], Any]:
    return lambda: client.request("GET", url, **(options or {}))


def _sending(client: Any, request: Asking) -> Callable[[], Any]:
    if isinstance(request, str):
        method, _, url = request.partition(" ")
        return lambda: client.request(method, url.strip())
    if isinstance(request, tuple):
        method, url, *rest = request
        options = rest[0] if rest else {}
        return lambda: client.request(method, url, **options)
    if callable(request):
        return request
    return lambda: client.send(request)


def _named(request: Asking) -> str:
    if isinstance(request, str):
        return request
    if isinstance(request, tuple):
        return f"{request[0]} {request[1]}"
    return (
        f"{getattr(request, 'method', '')} {getattr(request, 'url', '')}".strip() or "the request"
    )


_VALUES = {
    "accept-language": ("en", "de"),
    "accept": ("application/json", "text/html"),
    "accept-encoding": ("gzip", "identity"),
}


def _with(url: str, field: str, value: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A URL and the options of a request in which the field has this value."""
    kind, colon, name = field.partition(":")
    if colon and kind == "query":
        return f"{url}{'&' if '?' in url else '?'}{name}={value}", options
    headers = dict(options.get("headers") or {})
    if colon and kind == "cookie":
        headers["cookie"] = f"{name}={value}"
    else:
        headers[field] = value
    return url, {**options, "headers": headers}


def _cover(field: str) -> str:
    kind, colon, name = field.partition(":")
    if colon and kind == "query":
        return f"Add {name!r} to query= of the route"
    if colon and kind == "cookie":
        return f"Write cookies=[{name!r}] at the route"
    return f"Write vary=[{field.lower()!r}] at the route, or send Vary: {field} with the response"


# Messages.


def _status(response: Any, wanted: str) -> CacheStatus:
    if isawaitable(response):
        close = getattr(response, "close", None)
        if close is not None:
            close()
        raise TypeError("the response is not awaited yet: write assert_hit(await client.get(...))")
    status = cache_status(response)
    if not status.text:
        raise AssertionError(f"expected {wanted}, but {_NO_FIELD}")
    return status


def _path(url: str) -> str:
    return url.partition("?")[0]


def _why(status: CacheStatus) -> str:
    return advice(status.detail)


def _why_not_stored(status: CacheStatus) -> str:
    if status.is_undecided and not status.collapsed:
        return (
            "the response was passed on before it was complete, so its fields cannot say whether it"
            " is stored: ask again, and assert_hit"
        )
    return "the response may not be stored"


def _why_no_hit(status: CacheStatus) -> str:
    if status.stored:
        return "the application answered and the response is stored now: a second request is a hit"
    if status.collapsed:
        return "it shared the answer to a request that ran at the same time"
    if status.forward == Forward.BYPASS or status.detail:
        return _why(status) or f"{DOCS} says what this reason means"
    return "the response was not stored"


def _fail(wanted: str, status: CacheStatus, why: str) -> NoReturn:
    lines = [f"expected {wanted}", f"found    Cache-Status: {status.text}"]
    if why:
        lines.append(f"what to do: {why}")
    raise AssertionError("\n".join(lines))
