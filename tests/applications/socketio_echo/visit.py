import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import socketio


@asynccontextmanager
async def visit(url):
    async with AsyncExitStack() as clients:
        for number in range(4):  # by polling, and then they upgrade to a WebSocket: on the same connection
            client = socketio.AsyncClient(reconnection=False)
            heard = asyncio.get_running_loop().create_future()
            client.on("said", heard.set_result)
            await client.connect(url)
            clients.push_async_callback(client.disconnect)
            assert client.transport() == "websocket"
            text = f"client {number}"
            assert await client.call("say", text) == len(text)
            assert await asyncio.wait_for(heard, 10) == text
        for number in range(4):  # and on another one, as browsers do it
            client = socketio.Client(reconnection=False)
            await asyncio.to_thread(client.connect, url)
            clients.push_async_callback(asyncio.to_thread, client.disconnect)
            assert client.transport() == "websocket"
            assert await asyncio.to_thread(client.call, "say", "x" * number) == number
        yield
