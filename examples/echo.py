"""A WebSocket that echoes every message, in plain ASGI.

snakepit run echo:app --interpreters 2
curl http://127.0.0.1:8000
pip install websockets && websockets ws://127.0.0.1:8000
"""

PAGE = b"This is a WebSocket server: websockets ws://127.0.0.1:8000\n"


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await echo(receive, send)
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": PAGE})


async def echo(receive, send):
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
