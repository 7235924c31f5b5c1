"""`rediss://` against something that really speaks TLS."""

import ssl
from pathlib import Path

import pytest
import trustme

from asgi_multitier.errors import BackendError
from asgi_multitier.redis import Link, RedisTier
from tests.redis.support import followed, invalidate
from tests.servers import FaultProxy, ValkeyServer


async def test_an_encrypted_server_is_used_and_its_certificate_verified(
    valkey: ValkeyServer, namespace: str, tmp_path: Path
) -> None:
    """With the authority named, tier and log work; without it, nothing is sent."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with FaultProxy(valkey.port, context) as door:
        url = f"rediss://localhost:{door.port}/0"
        # Patient: to read a system's authorities alone may take a busy machine 250 ms.
        known = Link(f"{url}?ssl_ca_certs={tmp_path}/authority.pem", timeout=5.0)
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
