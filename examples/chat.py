"""A chat room with its own page. It needs one worker: all clients of a room must be in one interpreter.

pip install starlette
snakepit run chat:app --interpreters 1
curl http://127.0.0.1:8000 prints the page; open it in two windows of a browser

With several workers each has a room of its own, since workers share no objects. Then let each worker subscribe to a
channel of Redis (or PostgreSQL's LISTEN, NATS, ...), publish its clients' messages there, and send them the messages
that come.
"""

from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

room = set()


async def page(request):
    return FileResponse(Path(__file__).with_name("chat.html"))


async def chat(websocket):
    await websocket.accept()
    room.add(websocket)
    try:
        async for text in websocket.iter_text():
            for each in list(room):
                try:
                    await each.send_text(text)
                except WebSocketDisconnect:
                    room.discard(each)
    finally:
        room.discard(websocket)


app = Starlette(routes=[Route("/", page), WebSocketRoute("/chat", chat)])
