"""Compressors, and what is said where their package is missing."""

import sys
import zlib

import brotli
import pytest
import zstandard

from asgi_multitier import ConfigError, Policy
from asgi_multitier.compression import CODINGS, compressed, compressors

DECODERS = {
    b"zstd": lambda body: zstandard.ZstdDecompressor().decompress(body),
    b"br": brotli.decompress,
    b"gzip": lambda body: zlib.decompress(body, 31),
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("body", [b"", b"a", b"abc" * 1000, bytes(range(256)) * 40])
def test_what_is_compressed_comes_back(coding: bytes, body: bytes) -> None:
    """The same bytes, and the same compressed bytes each time: a strong tag names them."""
    made = compressed(body, coding)

    assert DECODERS[coding](made) == body
    assert compressed(body, coding) == made


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without the extra `compression`."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "brotli", None)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("given", [True, "br", ["gzip", "zstd"]])
def test_a_missing_package_is_named_with_its_extra(given: bool | str | list[str]) -> None:
    """When the rule is made, with what does without it."""
    with pytest.raises(ConfigError) as raised:
        Policy(60, compress=given)

    message = str(raised.value)
    assert message.startswith("Policy: compress needs ")
    assert "install asgi-multitier[compression]" in message
    assert 'compress="gzip"' in message


@pytest.mark.usefixtures("nothing_installed")
def test_gzip_needs_no_package() -> None:
    """It is Python's own."""
    assert Policy(60, compress="gzip").compress == (b"gzip",)


def test_an_absent_package_is_none() -> None:
    """And no error until it is asked for."""
    assert compressors._installed("asgi_multitier.nothing_like_it") is None
