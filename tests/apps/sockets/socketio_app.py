import socketio

server = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(server)


@server.event
async def connect(sid, environ, auth):
    if auth != {"token": "right"}:
        raise socketio.exceptions.ConnectionRefusedError("who are you?")


@server.event
async def say(sid, data):
    await server.emit("said", data)
    return len(data)


@server.event
async def leave(sid):
    await server.disconnect(sid)
