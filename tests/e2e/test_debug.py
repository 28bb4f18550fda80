"""`--debug`: what browsers and programs are shown of an app's exceptions, and that nobody is without it."""

import pytest
from support import ONE_RUNTIME, Server, running
from waiting import wait_until

APPS = """
import sys

SECRET_KEY = "hunter" + "2"


def check(user, password):
    text = f"<script>alert({user})</script>"
    raise LookupError(text)


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        check("ann", SECRET_KEY)


def wsgi(environ, start_response):
    check("ann", SECRET_KEY)


class Hostile:
    def __init__(self, kind):
        self.kind = kind

    def __repr__(self):
        if self.kind == "long":
            return "x" * 10_000_000
        if self.kind == "deep":
            return repr(self)
        sys.exit(self.kind)


async def hostile(scope, receive, send):
    if scope["type"] == "http":
        mine = [Hostile("long"), Hostile("deep"), Hostile("exit")]
        raise ValueError("the end") from RecursionError(len(mine))


class Hanging:
    def __repr__(self):
        while True:
            pass


async def hanging_asgi(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/ok":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
    elif scope["type"] == "http":
        mine, others = [Hanging()], Hanging()
        raise ValueError("the end") from RecursionError(len(mine))


def hanging_wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/ok":
        start_response("200 OK", [])
        return [b"ok"]
    mine, others = [Hanging()], Hanging()
    raise ValueError("the end") from RecursionError(len(mine))


def deep(environ, start_response):
    return deep(environ, start_response)


def generated(environ, start_response):
    exec(compile("1 / 0", "/gone/<script>.py", "exec"), {})
"""

FRAMEWORKS = """
import flask
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def fails(request):
    raise LookupError("in a handler")


async def mine(request, error):
    return JSONResponse({"detail": "mine"}, 500)


routes = [Route("/", fails)]
starlette = Starlette(routes=routes)
handled = Starlette(routes=routes, exception_handlers={500: mine})

app = flask.Flask(__name__)
app.config["PROPAGATE_EXCEPTIONS"] = True
quiet = flask.Flask("quiet")


@app.route("/")
@quiet.route("/")
def broken():
    raise LookupError("in a handler")
"""

HTML = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
runtimes = pytest.mark.parametrize("runtime", ["interpreter", "process", "thread"])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "apps.py").write_text(APPS)
    (tmp_path / "frameworks_here.py").write_text(FRAMEWORKS)
    return tmp_path


def serving(folder, app, *options):
    return running(app, *options, workers=1, cwd=folder)


@ONE_RUNTIME
@runtimes
@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_what_is_shown(folder, app, runtime):
    with serving(folder, f"apps:{app}", "--debug", "--runtime", runtime) as server:
        page = server.get("/<script>?token=hunter2&page=<script>", HTML, "Cookie: hunter2", "X-Shown: <script>")
        assert (page.status, page.headers["content-type"]) == (500, "text/html; charset=utf-8")
        assert page.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert "<script" not in page.text
        for part in (
            "&lt;script&gt;alert(ann)&lt;/script&gt;",
            "def check(user, password):",
            "<tr><th>password</th><td>********</td></tr>",
            "<tr><th>user</th><td>&#x27;ann&#x27;</td></tr>",
            "?token=********&amp;page=&lt;script&gt; HTTP/1.1",
            "<tr><th>cookie</th><td>********</td></tr>",
            "<tr><th>x-shown</th><td>&lt;script&gt;</td></tr>",
            f"apps:{app}, {app.upper()}",
            f"1, runtime {runtime}",
        ):
            assert part in page.text
        assert "hunter2" not in page.text
        text = server.get("/", "Accept: */*")
        assert (text.status, text.headers["content-type"]) == (500, "text/plain; charset=utf-8")
        assert "LookupError: <script>alert(ann)</script>\n\nGET / HTTP/1.1\n" in text.text
        head = server.get("/", HTML, method="HEAD")
        assert (head.status, head.body) == (500, b"")
        assert int(head.headers["content-length"]) > 1000
        server.wait_logged("failed in worker 1", 3)
        server.wait_logged("--debug is on")
        assert "DANGER" not in server.err


@ONE_RUNTIME
@pytest.mark.parametrize("app", ["apps:asgi", "apps:wsgi", "apps:hostile", "frameworks_here:starlette"])
def test_nothing_is_shown_without_the_option(folder, app):
    with serving(folder, app) as server:
        page = server.get("/", HTML)
        assert (page.status, page.body.strip()) == (500, b"Internal Server Error")
        assert "--debug" not in server.err


@ONE_RUNTIME
def test_it_is_louder_where_others_can_connect(folder):
    with serving(folder, "apps:wsgi", "--debug", "--host", "0.0.0.0") as server:
        server.wait_logged("DANGER: with --debug, other machines can read code and secrets of the app at 0.0.0.0:")


@ONE_RUNTIME
def test_variables_that_are_hard_to_show(folder):
    with serving(folder, "apps:hostile", "--debug") as server:
        page = server.get("/", HTML)
        assert page.status == 500
        assert "Hostile: its repr raises RecursionError" in page.text
        assert "ValueError" in page.text
        assert len(page.body) < 200_000


@ONE_RUNTIME
@pytest.mark.parametrize("app", ["hanging_asgi", "hanging_wsgi"])
def test_a_variable_that_hangs_is_ended_as_the_app_would_be(folder, app):
    with serving(folder, f"apps:{app}", "--debug", "--timeout-request", "0.5", "--threads", "1") as server:
        assert server.get("/", HTML).status == 504
        server.wait_logged("ValueError: the end")  # the app is through
        assert server.get("/ok").text == "ok"
        assert server.err.count(" ready:") == 1


@ONE_RUNTIME
@pytest.mark.parametrize(("app", "shown"), [("deep", "more frames"), ("generated", "The source is not to be had")])
def test_frames_that_are_hard_to_show(folder, app, shown):
    with serving(folder, f"apps:{app}", "--debug") as server:
        page = server.get("/", HTML)
        assert page.status == 500
        assert shown in page.text
        assert "<script" not in page.text


@ONE_RUNTIME
@pytest.mark.parametrize("app", ["starlette", "app"])
def test_frameworks_whose_exceptions_reach_the_server(folder, app):
    with serving(folder, f"frameworks_here:{app}", "--debug") as server:
        page = server.get("/", HTML)
        assert page.status == 500
        assert "LookupError</b>: in a handler" in page.text
        assert "LookupError: in a handler" in server.get("/").text


@ONE_RUNTIME
@pytest.mark.parametrize(("app", "answer"), [("handled", '{"detail":"mine"}'), ("quiet", "<h1>Internal Server Error")])
def test_an_apps_own_answer_stays(folder, app, answer):
    with serving(folder, f"frameworks_here:{app}", "--debug") as server:
        page = server.get("/", HTML)
        assert page.status == 500
        assert answer in page.text


IMPORT = "limit = 7\nkey = 'hunter' + '2'\nraise LookupError('<script>')\n"
LIFESPAN = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette

@asynccontextmanager
async def lifespan(app):
    limit = 7
    key = "hunter" + "2"
    raise LookupError("<script>")
    yield

app = Starlette(lifespan=lifespan)
"""
MENDED = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"mended"]
"""
failures = pytest.mark.parametrize("source", [IMPORT, LIFESPAN], ids=["import", "lifespan"])


def check_failure(answer, status):
    assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert "LookupError</b>: &lt;script&gt;</h1>" in answer.text
    assert "<tr><th>limit</th><td>7</td></tr>" in answer.text
    assert "<mark>" in answer.text
    assert "hunter2" not in answer.text
    assert "<script>" not in answer.text


@ONE_RUNTIME
@failures
@pytest.mark.parametrize("runtime", ["interpreter", "process"])
def test_an_app_that_can_not_start(tmp_path, source, runtime):
    (tmp_path / "broken.py").write_text(source)
    server = Server("broken:app", "--port", "0", "--interpreters", "1", "--runtime", runtime, "--debug", "--reload",
                    cwd=tmp_path)  # fmt: skip
    try:
        wait_until(lambda: "Listening on" in server.err, "the server listens")
        check_failure(server.get("/", HTML), 500)
        text = server.get("/")
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert "LookupError: <script>" in text.text
        server.wait_logged("Watching")
        (tmp_path / "broken.py").write_text(MENDED)
        wait_until(lambda: server.get("/").text == "mended", "the mended app answers")
    finally:
        server.kill()


@ONE_RUNTIME
@failures
@pytest.mark.parametrize("debug", [True, False])
def test_one_of_several_apps_that_can_not_start(folder, source, debug):
    (folder / "broken.py").write_text(source)
    options = ["--mount", "/b=broken:app", *(["--debug"] if debug else [])]
    with serving(folder, "apps:wsgi", *options) as server:
        server.wait_logged("can't be started; it is tried again")
        answer = server.get("/b/", HTML)
        if debug:
            check_failure(answer, 502)
            assert int(answer.headers["retry-after"]) > 0
        else:
            assert (answer.status, answer.text.strip()) == (502, "This app can't be started")
