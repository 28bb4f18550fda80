"""Web frameworks: apps that answer requests, within the interpreter.

That they do so behind Snakepit's own server is tested elsewhere (`tests/e2e`).
"""

import asyncio
from collections.abc import Awaitable, Callable

from compat.registry import case, raises

type Client = object


def _served(app: object, talk: Callable[..., Awaitable[None]]) -> None:
    """Let `talk` speak to an ASGI app through an HTTP client."""
    import httpx

    async def run() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await talk(client)

    asyncio.run(run())


@case(
    "FastAPI",
    exercised="models, dependencies, threads for plain functions, forms and files, OpenAPI, 422 and 500",
    with_=("pydantic-core", "starlette", "python-multipart"),
)
def fastapi() -> None:
    from typing import Annotated

    from fastapi import Depends, FastAPI, Form, HTTPException, UploadFile
    from pydantic import BaseModel, Field

    class Item(BaseModel):
        name: str
        price: Annotated[float, Field(gt=0)]

    class Bill(BaseModel):
        total: float
        items: list[Item]

    app = FastAPI()

    def limit(limit: int = 10) -> int:
        if limit > 100:
            raise HTTPException(403, "too many")
        return limit

    @app.post("/bill")
    async def bill(items: list[Item], limit: Annotated[int, Depends(limit)]) -> Bill:
        return Bill(total=sum(item.price for item in items), items=items[:limit])

    @app.get("/plain/{number}")
    def plain(number: int) -> dict[str, int]:
        return {"number": 100 // number}

    @app.post("/upload")
    async def upload(note: Annotated[str, Form()], file: UploadFile) -> dict[str, object]:
        return {"note": note, "size": len(await file.read())}

    async def talk(client: Client) -> None:
        answer = await client.post("/bill?limit=3", json=[{"name": "n", "price": "1.5"}] * 20)
        assert answer.json()["total"] == 30.0
        assert len(answer.json()["items"]) == 3
        answer = await client.post("/bill", json=[{"name": "n", "price": -1}, {}])
        assert answer.status_code == 422
        assert {error["type"] for error in answer.json()["detail"]} == {"greater_than", "missing"}
        assert (await client.post("/bill?limit=1000", json=[])).status_code == 403
        answers = await asyncio.gather(*(client.get(f"/plain/{number}") for number in range(1, 30)))
        assert [answer.json()["number"] for answer in answers] == [100 // number for number in range(1, 30)]
        assert (await client.get("/plain/0")).status_code == 500
        assert (await client.get("/plain/x")).status_code == 422
        answer = await client.post("/upload", data={"note": "ü"}, files={"file": b"x" * 5000})
        assert answer.json() == {"note": "ü", "size": 5000}
        assert "Bill" in (await client.get("/openapi.json")).json()["components"]["schemas"]

    _served(app, talk)


@case("Starlette", exercised="routes, streams, background tasks, threads, errors")
def starlette() -> None:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route

    done: list[int] = []

    async def answer(request: Request) -> JSONResponse:
        number = await run_in_threadpool(int, request.path_params["number"])
        return JSONResponse({"n": 10 // number}, background=BackgroundTask(done.append, number))

    async def stream(_: Request) -> StreamingResponse:
        return StreamingResponse(iter([b"x" * 1000] * 20))

    async def talk(client: Client) -> None:
        assert (await client.get("/n/5")).json() == {"n": 2}
        assert len((await client.get("/stream")).content) == 20_000
        assert (await client.get("/n/0")).status_code == 500
        assert (await client.get("/none")).status_code == 404

    _served(Starlette(routes=[Route("/n/{number}", answer), Route("/stream", stream)]), talk)
    assert done == [5]


@case(
    "Litestar",
    exercised="routes with msgspec and pydantic models, dependencies, OpenAPI, errors",
    with_=("msgspec", "multidict", "pydantic-core"),
)
def litestar() -> None:
    from dataclasses import dataclass

    import litestar
    import msgspec
    import pydantic

    @dataclass
    class Point:
        x: int
        y: int = 0

    class Item(msgspec.Struct):
        name: str
        price: float

    class User(pydantic.BaseModel):
        name: str

    @litestar.post("/points", sync_to_thread=False)
    def points(data: list[Point]) -> list[Point]:
        return data[::-1]

    @litestar.post("/item")
    async def item(data: Item) -> Item:
        return msgspec.structs.replace(data, price=data.price * 2)

    @litestar.post("/user")
    async def user(data: User) -> User:
        return data

    @litestar.get("/fail/{number:int}", sync_to_thread=True)
    def fail(number: int) -> int:
        return 1 // number

    for handler, names in ((points, {"Point": Point}), (item, {"Item": Item}), (user, {"User": User})):
        handler.fn.__globals__.update(names)  # Litestar resolves annotations by the module's names

    async def talk(client: Client) -> None:
        assert (await client.post("/points", json=[{"x": 1}, {"x": 2, "y": 3}])).json()[0] == {"x": 2, "y": 3}
        assert (await client.post("/item", json={"name": "n", "price": 1.5})).json()["price"] == 3.0
        assert (await client.post("/item", json={"name": 1})).status_code == 400
        assert (await client.post("/user", json={"name": "Ada"})).json() == {"name": "Ada"}
        assert (await client.post("/user", json={})).status_code == 400
        assert (await client.get("/fail/0")).status_code == 500
        assert "Point" in (await client.get("/schema/openapi.json")).text

    _served(litestar.Litestar([points, item, user, fail], logging_config=None), talk)


@case("Flask", exercised="routes, sessions, templates, errors")
def flask() -> None:
    import flask

    app = flask.Flask("compat")
    app.secret_key = "secret"

    @app.post("/count")
    def count() -> dict[str, object]:
        flask.session["n"] = flask.session.get("n", 0) + flask.request.json["by"]
        return {"n": flask.session["n"], "page": flask.render_template_string("<{{ v }}>", v="&")}

    client = app.test_client()
    assert client.post("/count", json={"by": 2}).json["n"] == 2
    assert client.post("/count", json={"by": 3}).json == {"n": 5, "page": "<&amp;>"}
    assert client.post("/count", json={}).status_code == 500
    assert client.post("/count").status_code == 415


@case("Quart", exercised="routes, streams, errors")
def quart() -> None:
    import quart

    app = quart.Quart("compat")

    @app.post("/twice")
    async def twice() -> dict[str, object]:
        return {"n": 2 * (await quart.request.get_json())["n"]}

    async def talk(client: Client) -> None:
        assert (await client.post("/twice", json={"n": 4})).json() == {"n": 8}
        assert (await client.post("/twice", json={})).status_code == 500

    _served(app, talk)


def _django(urls: str, *apps: str) -> None:
    """Set Django up, once in each interpreter."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            SECRET_KEY="secret",
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=f"compat.cases.{urls}",
            INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *apps],
            PASSWORD_HASHERS=["django.contrib.auth.hashers.ScryptPasswordHasher"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "DEFAULT_PERMISSION_CLASSES": []},
            LOGGING_CONFIG=None,
            USE_TZ=True,
        )
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)


@case(
    "Django", exercised="views, the ORM on sqlite, forms, templates, password hashes, the asynchronous handler, errors"
)
def django() -> None:
    _django("django_urls")
    from django import forms
    from django.contrib.auth.models import User
    from django.db import IntegrityError, transaction
    from django.template import Context, Engine
    from django.test import AsyncClient, Client

    User.objects.all().delete()
    User.objects.bulk_create([User(username=f"u{index}", last_name="x") for index in range(50)])
    assert User.objects.filter(username__startswith="u1", last_name="x").count() == 11
    with transaction.atomic():
        raises(IntegrityError, User.objects.bulk_create, [User(username="u1")])
    raises(User.DoesNotExist, User.objects.get, username="nobody")
    user = User(username="hashed")
    user.set_password("password")
    assert user.check_password("password")
    client = Client(raise_request_exception=False)
    assert client.get("/users/").json() == {"users": 50}
    assert client.get("/fail/").status_code == 500
    assert client.get("/none/").status_code == 404
    assert Engine().from_string("{{ v|upper }}").render(Context({"v": "<a>"})) == "&lt;A&gt;"

    class Form(forms.Form):
        number = forms.IntegerField(min_value=3)

    assert Form({"number": "1"}).errors["number"]

    async def asynchronously() -> None:
        assert (await AsyncClient().get("/async/")).json() == {"async": True}

    asyncio.run(asynchronously())


@case("djangorestframework", exercised="serializers, view sets, pagination, rejected input, errors", with_=("Django",))
def djangorestframework() -> None:
    _django("rest_urls", "rest_framework")
    from django.contrib.auth.models import User
    from rest_framework.test import APIClient

    User.objects.all().delete()
    client = APIClient(raise_request_exception=False)
    for index in range(10):
        assert (
            client.post("/users/", {"username": f"n{index}", "email": "a@example.org"}, format="json").status_code
            == 201
        )
    answer = client.post("/users/", {"username": "n1", "email": "nonsense"}, format="json")
    assert answer.status_code == 400
    assert set(answer.json()) == {"username", "email"}
    assert len(client.get("/users/").json()) == 10
    first = client.get("/users/").json()[0]["id"]
    assert client.patch(f"/users/{first}/", {"email": "b@example.org"}).json()["email"] == "b@example.org"
    assert client.delete(f"/users/{first}/").status_code == 204
    assert client.get(f"/users/{first}/").status_code == 404
    assert client.post("/users/", "{", content_type="application/json").status_code == 400


@case("django-ninja", exercised="schemas, operations, OpenAPI, 422 and 500", with_=("Django", "pydantic-core"))
def django_ninja() -> None:
    _django("ninja_urls")
    from django.test import Client

    client = Client(raise_request_exception=False)
    answer = client.post("/sum", {"numbers": ["1", 2.5]}, content_type="application/json")
    assert answer.json() == {"total": 3.5}
    answer = client.post("/sum", {"numbers": ["x"]}, content_type="application/json")
    assert answer.status_code == 422
    assert client.get("/divide?by=0").status_code == 500
    assert "Numbers" in client.get("/openapi.json").json()["components"]["schemas"]


@case("tornado", "tornado.speedups", exercised="server and client by asyncio, WebSocket masks, errors")
def tornado() -> None:
    import json

    import tornado.httpclient
    import tornado.httpserver
    import tornado.netutil
    import tornado.speedups
    import tornado.web

    class Twice(tornado.web.RequestHandler):
        def post(self) -> None:
            self.write({"n": 2 * json.loads(self.request.body)["n"]})

    async def run() -> None:
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Twice)], log_function=lambda _: None))
        server.add_sockets(sockets)
        client = tornado.httpclient.AsyncHTTPClient(force_instance=True)
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
        answer = await client.fetch(url, method="POST", body='{"n": 4}')
        assert json.loads(answer.body) == {"n": 8}
        assert (await client.fetch(url, raise_error=False)).code == 405
        try:
            await client.fetch(url)
        except tornado.httpclient.HTTPClientError:
            pass
        else:
            raise AssertionError("no HTTPClientError")
        client.close()
        server.stop()
        await server.close_all_connections()

    asyncio.run(run())
    assert tornado.speedups.websocket_mask(b"abcd", b"efgh" * 10)[:1] == bytes([ord("a") ^ ord("e")])
