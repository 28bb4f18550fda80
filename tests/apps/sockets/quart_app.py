from quart import Quart, websocket

room = set()
app = Quart(__name__)


@app.websocket("/echo")
async def echo():
    await websocket.accept(subprotocol="two" if "two" in websocket.requested_subprotocols else None)
    while True:
        await websocket.send(await websocket.receive())


@app.websocket("/chat")
async def chat():
    await websocket.accept()
    me = websocket._get_current_object()
    room.add(me)
    try:
        while True:
            text = await websocket.receive()
            for each in list(room):
                await each.send(text)
    finally:
        room.discard(me)


@app.websocket("/close")
async def close():
    await websocket.close(int(await websocket.receive()), "as you wish")


@app.websocket("/deny")
async def deny():
    return "members only", 401, {"x-why": "test"}
