"""What the other workers of this machine are asked to do as well."""

from collections.abc import Mapping
from typing import Any

from ..workers import Workers
from ..workers.frames import FrameError
from .replies import wrong

QUESTION = "admin"
"""What workers are asked: `worker` (the number of the one that is to answer, or `EACH`), `method`,
`path`, `query` and `body`. The answer has `status` and `value`; it is null of any other worker."""

EACH = "each"

_SCOPES = ("process", "host")


def on_host(given: Mapping[str, Any]) -> bool:
    """Whether the `scope` of a request is this machine: without one it is this process.

    Raises:
        Refusal: 422 if it is something else.
    """
    scope = given.get("scope")
    if scope not in (None, *_SCOPES):
        raise wrong("scope", "this is no scope", ", ".join(_SCOPES))
    return scope == "host"


async def ask_others(
    workers: Workers,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    timeout: float,
) -> list[dict[str, Any]]:
    """Ask the admin application of each other worker.

    Args:
        workers: The workers.
        method: `"GET"` or `"POST"`.
        path: Below the application.
        body: The object to send.
        timeout: Seconds that an answer may take.

    Returns:
        Of each its number as `worker`, what it answers, and why there is no answer as `missing`: ""
        if there is one.

    Raises:
        Refusal: 422 if the question is too long.
    """
    query = {"scope": "process"} if method == "GET" else None
    question = {
        "worker": EACH,
        "method": method,
        "path": path,
        "query": query,
        "body": None if body is None else {**body, "scope": "process"},
    }
    try:
        answers = await workers.ask_others(QUESTION, question, timeout)
    except FrameError as error:
        raise wrong("", f"this is too long for the other workers: {error}") from None
    found = []
    for number, value, missing in answers:
        told = value.get("value") if isinstance(value, dict) else None
        done = isinstance(told, dict) and value.get("status") == 200
        found.append(
            {
                **(told if done and isinstance(told, dict) else {}),
                "worker": number,
                "missing": missing or ("" if done else "failed"),
            }
        )
    return found
