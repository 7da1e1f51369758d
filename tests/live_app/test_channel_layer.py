"""The channel layer that the settings offer to an installation's own consumers."""

from __future__ import annotations

import asyncio
import secrets

from channels.layers import channel_layers

DEADLINE_S = 20


async def test_a_message_to_a_group_reaches_another_process() -> None:
    """Two layers with connections of their own stand for two processes."""
    sender, receiver = channel_layers.make_backend("default"), channel_layers.make_backend("default")
    group = f"test-{secrets.token_hex(4)}"
    async with asyncio.timeout(DEADLINE_S):
        channel = await receiver.new_channel()
        await receiver.group_add(group, channel)
        await sender.group_send(group, {"type": "greeting"})
        assert await receiver.receive(channel) == {"type": "greeting"}
        await receiver.flush()
        await sender.flush()
