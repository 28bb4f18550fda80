"""--debug: exceptions in the browser, by apps of both interfaces and with each runtime; and nothing without it."""

import pytest
from support import ONE_RUNTIME, Server, reloading, running, wait_until

HTML = "Accept: text/html"
DEBUG = "--debug"


@pytest.mark.parametrize(("app", "path"), [("behaviors:app", "/raise-before"), ("wsgi_behaviors:app", "/raise-before")])
def test_an_exception(app, path):
    with running(app, DEBUG, workers=1) as server:
        page = server.get(path, HTML)
        assert page.status == 500
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "ValueError" in page.text
        assert "raise_before" in page.text
        text = server.get(path)
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert text.text.startswith("Traceback")
        assert server.get("/").status == 200
        assert server.err.count("ValueError: raised before the response") == 2, "in the log, too"
        assert "--debug: exceptions are shown" in server.err
        assert server.stop() == 0


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_nothing_without_the_option(app):
    with running(app, workers=1) as server:
        for fields in ((), (HTML,)):
            answer = server.get("/raise-before", *fields)
            assert (answer.status, answer.text) == (500, "Internal Server Error\n")
        assert "--debug" not in server.err


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_what_has_begun_is_broken_off(app):
    with running(app, DEBUG, workers=1) as server:
        assert b"Variables" not in server.exchange(f"GET /raise-within HTTP/1.1\r\nHost: t\r\n{HTML}\r\n\r\n".encode())
        assert server.get("/").status == 200


FRAMEWORKS = """
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

def own(request):
    return PlainTextResponse("mine", 500)

def view(request):
    flavor = "earl grey"
    raise KeyError(flavor)

starlette = Starlette(routes=[Route("/", view), Route("/own", own)])
flask = Flask(__name__)
flask.config["PROPAGATE_EXCEPTIONS"] = True

@flask.route("/")
def index():
    return view(None)

@flask.route("/own")
def own_answer():
    return "mine", 500
"""


@ONE_RUNTIME
@pytest.mark.parametrize("name", ["starlette", "flask"])
def test_frameworks(name, tmp_path):
    (tmp_path / "site_app.py").write_text(FRAMEWORKS)
    with running(f"site_app:{name}", DEBUG, workers=1, cwd=tmp_path) as server:
        answer = server.get("/", HTML)
        assert answer.status == 500
        assert "<h1>KeyError: &#x27;earl grey&#x27;</h1>" in answer.text
        assert "earl grey" in answer.text
        own = server.get("/own", HTML)
        assert (own.status, own.text) == (500, "mine")


@ONE_RUNTIME
@pytest.mark.parametrize(
    "source",
    [
        "broken = 41\nraise RuntimeError('no <database>')\n",
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    broken = 41\n"
        "    try:\n"
        "        raise RuntimeError('no <database>')\n"
        "    except RuntimeError:\n"
        "        await send({'type': 'lifespan.startup.failed', 'message': 'no'})\n"
        "        raise\n",
    ],
    ids=["import", "lifespan"],
)
def test_an_app_that_can_not_be_started(source, tmp_path):
    (tmp_path / "site_app.py").write_text(source)
    with reloading(tmp_path, DEBUG, ready=0) as server:
        wait_until(lambda: server.get("/", HTML).status == 500, "an answer")
        page = server.get("/", HTML).text
        assert "RuntimeError: no &lt;database&gt;" in page
        assert "broken" in page
        assert "41" in page
        assert "The app can&#x27;t be started" in page
        (tmp_path / "site_app.py").write_text(
            "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'mended']\n"
        )
        wait_until(lambda: server.get("/").text == "mended", "the mended app")


@ONE_RUNTIME
def test_everywhere_is_a_louder_warning():
    server = Server("behaviors:app", DEBUG, "--host", "0.0.0.0", "--port", "0", "-n", "1")
    try:
        server.wait_listening(1)
        server.wait_logged("ERROR    --debug shows source code")
    finally:
        server.kill()
