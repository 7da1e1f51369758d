"""Channels as its tutorial writes it: a group a device, group_add on connect, group_send, AsyncJsonWebsocketConsumer."""
