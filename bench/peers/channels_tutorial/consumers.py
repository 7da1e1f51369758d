"""The tutorial's consumer."""

from urllib.parse import parse_qs

from channels.generic.websocket import AsyncJsonWebsocketConsumer


class LiveConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self):
        devices = parse_qs(self.scope["query_string"].decode())["devices"][0]
        self.groups_joined = [f"device_{device}" for device in devices.split(",")]
        for group in self.groups_joined:
            await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        for group in self.groups_joined:
            await self.channel_layer.group_discard(group, self.channel_name)

    async def telemetry_reading(self, event):
        await self.send_json(event["reading"])
