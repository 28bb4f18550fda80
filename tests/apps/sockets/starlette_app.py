from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

room = set()
codes = []


async def echo(websocket):
    await websocket.accept(subprotocol="two" if "two" in websocket.scope["subprotocols"] else None)
    while (message := await websocket.receive())["type"] == "websocket.receive":
        await websocket.send({**message, "type": "websocket.send"})
    codes.append(f"{message['code']} {message['reason']}")


async def chat(websocket):
    await websocket.accept()
    room.add(websocket)
    try:
        async for text in websocket.iter_text():
            for each in list(room):
                await each.send_text(text)
    finally:
        room.discard(websocket)


async def close(websocket):
    await websocket.accept()
    await websocket.close(int(await websocket.receive_text()), "as you wish")


async def seen(websocket):
    await websocket.accept()
    try:
        while True:
            await websocket.receive_text()
            await websocket.send_text(codes[-1] if codes else "")
    except WebSocketDisconnect:
        pass


async def deny(websocket):
    await websocket.send_denial_response(PlainTextResponse("members only", 401, {"x-why": "test"}))


app = Starlette(
    routes=[
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/chat", chat),
        WebSocketRoute("/close", close),
        WebSocketRoute("/seen", seen),
        WebSocketRoute("/deny", deny),
    ]
)
