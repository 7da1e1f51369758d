"""FastAPI as in its tutorials: one Redis pubsub per socket. Run with: uvicorn bench.peers.fastapi_tutorial:app"""

import asyncio
import os

import redis.asyncio as redis
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
client = redis.from_url(os.environ["REDIS_URL"], socket_timeout=None, max_connections=20_000)


@app.get("/livez")
async def livez():
    return {"status": "ok"}


@app.websocket("/live")
async def live(websocket: WebSocket, devices: str):
    async with client.pubsub() as pubsub:
        await pubsub.subscribe(*(f"telemetry:live:{device}" for device in devices.split(",")))
        await websocket.accept()
        tasks = {asyncio.create_task(send(websocket, pubsub)), asyncio.create_task(receive(websocket))}
        _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()


async def send(websocket, pubsub):
    async for message in pubsub.listen():
        if message["type"] == "message":
            await websocket.send_text(message["data"].decode())


async def receive(websocket):
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        pass
