from typing import Annotated

from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

room = set()
codes = []
app = FastAPI()


class Order(BaseModel):
    item: str
    count: int


def subprotocol(websocket: WebSocket):
    return "two" if "two" in websocket.scope["subprotocols"] else None


@app.websocket("/echo")
async def echo(websocket: WebSocket, chosen: Annotated[str | None, Depends(subprotocol)]):
    await websocket.accept(chosen)
    while (message := await websocket.receive())["type"] == "websocket.receive":
        await websocket.send({**message, "type": "websocket.send"})
    codes.append(f"{message['code']} {message['reason']}")


@app.websocket("/chat")
async def chat(websocket: WebSocket):
    await websocket.accept()
    room.add(websocket)
    try:
        while True:
            text = await websocket.receive_text()
            for each in list(room):
                await each.send_text(text)
    except WebSocketDisconnect:
        room.discard(websocket)


@app.websocket("/close")
async def close(websocket: WebSocket):
    await websocket.accept()
    await websocket.close(int(await websocket.receive_text()), "as you wish")


@app.websocket("/seen")
async def seen(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.receive_text()
            await websocket.send_text(codes[-1] if codes else "")
    except WebSocketDisconnect:
        pass


@app.websocket("/orders/{shop}")
async def orders(websocket: WebSocket, shop: int):
    await websocket.accept()
    order = Order.model_validate_json(await websocket.receive_text())
    await websocket.send_text(f"{order.count + shop} {order.item}")
    await websocket.close()


@app.websocket("/deny")
async def deny(websocket: WebSocket):
    await websocket.send_denial_response(PlainTextResponse("members only", 401, {"x-why": "test"}))
