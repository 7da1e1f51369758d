"""Channels as in its tutorial: one group per device, group_send, AsyncJsonWebsocketConsumer."""
