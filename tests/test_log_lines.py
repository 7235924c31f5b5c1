"""Log lines are one line each, whatever an application or a server says in an exception."""

import logging

import pytest

from asgi_multitier.events import MAX_LINE, Events

EVIL = "no\r\n2026-01-01 CRITICAL root: paid\x1b[31m\x00\u2028\x9b"
SHOWN = r"no\r\n2026-01-01 CRITICAL root: paid\x1b[31m\x00\u2028\x9b"


def raised(text: str) -> Exception:
    """An exception with a traceback and a cause."""
    try:
        try:
            raise KeyError(text)
        except KeyError as cause:
            raise ValueError(text) from cause
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    "say",
    [
        lambda events, error: events.callback_failed("tags", error),
        lambda events, error: events.refresh_failed(f"/x{EVIL}", error),
        lambda events, error: events.stood_in("/x", error),
        lambda events, error: events.start_failed(error),
        lambda events, error: events.broken("storing", error),
        lambda events, error: events.tier_suspended("redis", "get", str(error)),
        lambda events, error: events.not_closed("redis", error),
        lambda events, error: logging.getLogger("asgi_multitier").warning("%s: %s", "x", error),
    ],
)
def test_control_characters_of_strangers_are_escaped(
    say: object, caplog: pytest.LogCaptureFixture
) -> None:
    """In the message and in the traceback, also of the exception's cause."""
    assert callable(say)
    say(Events(), raised(EVIL))

    (record,) = caplog.records
    text = logging.Formatter().format(record)
    assert SHOWN in text
    assert not set(EVIL) & set("\r\x1b\x00\u2028\x9b") & set(text)
    assert not any(line.startswith("2026") for line in text.splitlines())
    if record.exc_info is not None:
        assert text.index("KeyError") < text.index("ValueError")
        assert "in raised" in text


def test_long_texts_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    """An exception may hold a whole document."""
    Events().tier_suspended("redis", "get", "x" * 10 * MAX_LINE)

    assert len(caplog.messages[0]) == MAX_LINE + 3
