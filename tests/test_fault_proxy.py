"""The proxy that faults are injected with."""

import asyncio

import pytest

from tests.patience import until
from tests.servers import FaultProxy


async def test_it_ends_while_a_link_is_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it outlives it: what is opened later would be closed by no one."""
    connect = asyncio.open_connection

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", hang)
    async with FaultProxy(1) as proxy:
        reader, writer = await connect("127.0.0.1", proxy.port)
        await until(lambda: proxy.accepted)

    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    writer.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
