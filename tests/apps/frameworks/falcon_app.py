from urllib.parse import parse_qs

import falcon
import falcon.asgi


class Hello:
    def on_get(self, req, resp, name):
        resp.text = f"{req.get_param('greeting')} {name}"

    on_head = on_get


class Form:
    def on_post(self, req, resp):
        resp.media = {"length": len(parse_qs(req.bounded_stream.read().decode())["text"][0])}


class Upload:
    def on_post(self, req, resp):
        print("reading", flush=True)
        while req.bounded_stream.read(65536):
            pass
        resp.text = "whole"


class Stream:
    def on_get(self, req, resp):
        resp.stream = (b"line %d\n" % number for number in range(100))


class AsyncHello:
    async def on_get(self, req, resp, name):
        resp.text = f"{req.get_param('greeting')} {name}"

    on_head = on_get


class AsyncForm:
    async def on_post(self, req, resp):
        resp.media = {"length": len(parse_qs((await req.stream.read()).decode())["text"][0])}


class AsyncStream:
    async def on_get(self, req, resp):
        async def lines():
            for number in range(100):
                yield b"line %d\n" % number

        resp.stream = lines()


app = falcon.App()
asgi = falcon.asgi.App()
for each, resources in ((app, (Hello(), Form(), Stream())), (asgi, (AsyncHello(), AsyncForm(), AsyncStream()))):
    for route, resource in zip(("/hello/{name}", "/form", "/stream"), resources, strict=True):
        each.add_route(route, resource)
app.add_route("/upload", Upload())
