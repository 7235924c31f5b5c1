"""`rediss://` against something that really speaks TLS."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from asgi_multitier.errors import BackendError
from asgi_multitier.redis import Link, RedisTier
from tests.redis.support import followed, invalidate
from tests.servers import FaultProxy, ValkeyServer

OPENSSL = shutil.which("openssl")

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of `localhost` that is its own authority, and its key."""
    place = tmp_path_factory.mktemp("tls")
    certificate, key = place / "certificate.pem", place / "key.pem"
    command = f"{OPENSSL} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    command += f" -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    return certificate, key


async def test_an_encrypted_server_is_used_and_its_certificate_verified(
    valkey: ValkeyServer, namespace: str, certificate: tuple[Path, Path]
) -> None:
    """With the authority named, tier and log work; without it, nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with FaultProxy(valkey.port, context) as door:
        url = f"rediss://localhost:{door.port}/0"
        # Patient: to read a system's authorities alone may take a busy machine 250 ms.
        known = Link(f"{url}?ssl_ca_certs={certificate[0]}", timeout=5.0)
        tier = RedisTier(known, namespace=namespace)
        await tier.set("k", b"v", 9.0)
        held = await tier.get("k")
        await tier.close()
        async with followed(known, namespace) as log:
            position = await invalidate(log)
            assert position is not None
            assert await log.reached(position, 1.0)
        await known.close()
        stranger = RedisTier(Link(url, timeout=5.0), namespace=namespace)
        with pytest.raises(BackendError, match="certificate"):
            await stranger.get("k")
        await stranger.link.close()

    assert held is not None
    assert held.value == b"v"
