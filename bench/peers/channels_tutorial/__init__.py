"""Channels as its tutorial writes it: a group a device, group_send, AsyncJsonWebsocketConsumer."""
