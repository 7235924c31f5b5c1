"""No test waits for what other instances might drop, but those that are about that."""

import pytest

from asgi_multitier.asgi.auditing import auditor


@pytest.fixture(autouse=True)
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts come at once."""
    monkeypatch.setattr(auditor, "SETTLING", 0.0)
