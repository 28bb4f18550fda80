import socketio

server = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(server)


@server.event
async def say(sid, text):
    await server.emit("said", text, to=sid)
    return len(text)
