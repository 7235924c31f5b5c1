"""Whether a request has a body, where its fields do not say so: in HTTP/2 and HTTP/3."""

from ..._types import Message, Receive


async def opened(receive: Receive) -> tuple[Receive, bool]:
    """Look at the first message of a request.

    Returns:
        A channel that gives all of it, the first message included, and whether there is a body.
    """
    first: Message | None = await receive()
    assert first is not None  # noqa: S101  # for the type checker alone
    has_body = first["type"] == "http.request" and bool(first.get("body") or first.get("more_body"))

    async def again() -> Message:
        nonlocal first
        message, first = first, None
        return await receive() if message is None else message

    return again, has_body
