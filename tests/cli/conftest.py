"""Fixtures of the command's tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Iterator[None]:
    """No variable or file of this machine says where a cache is."""
    for name in ("ASGI_MULTITIER_ADMIN_URL", "ASGI_MULTITIER_ADMIN_TOKEN", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("ASGI_MULTITIER_NAMESPACE", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(str(tmp_path))
    return None
