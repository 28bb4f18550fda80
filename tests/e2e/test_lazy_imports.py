"""`--lazy-imports`: what waits until it is used, what does not, and that it comes then as it would have come before."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import NEEDS_TWO_WORKERS, ONE_RUNTIME, PATIENCE, Server, running

from snakepit.lazy_imports.tried import EXIST

HAS_SOME = pytest.mark.skipif(not EXIST, reason="Python 3.15 and later")

SITE = """
import sys
from flask import Flask, jsonify, session, render_template_string

app = Flask(__name__)
app.secret_key = "secret"

import views  # registers routes

@app.get("/loaded/<name>")
def loaded(name):
    return str(name in sys.modules)

@app.get("/mode")
def mode():
    return getattr(sys, "get_lazy_imports", lambda: "none")()
"""

VIEWS = """
import main
from flask import jsonify, redirect, render_template_string, session, url_for

@main.app.get("/session")
def in_session():
    session["n"] = session.get("n", 0) + 1
    return jsonify(n=session["n"])

@main.app.get("/page")
def page():
    return render_template_string("<{{ word|upper }}>", word="a")

@main.app.get("/there")
def there():
    return redirect(url_for("page"))
"""

UNUSED = "werkzeug.serving"
"""What Flask imports for its development server."""

ANSWERS = {"/session": 200, "/page": 200, "/there": 302, "/none": 404}


@pytest.fixture
def flask_site(tmp_path):
    """Serves an app of Flask's whose second module registers most of the routes."""
    pytest.importorskip("flask")
    (tmp_path / "main.py").write_text(SITE, encoding="utf-8")
    (tmp_path / "views.py").write_text(VIEWS, encoding="utf-8")
    return lambda *options, **more: running("main:app", *options, cwd=tmp_path, **more)


def is_loaded(server, module):
    return server.get(f"/loaded/{module}").text == "True"


def fails(*options, **env):
    """What is said by a server that does not start."""
    server = Server("behaviors:app", "--port", "0", *options, env=env)
    try:
        assert server.wait_ended() == 2
        return server.err
    finally:
        server.kill()


@HAS_SOME
def test_by_default_libraries_that_were_tried_wait_and_the_app_does_not(flask_site):
    with flask_site() as server:
        assert server.get("/mode").text == "normal"
        assert not is_loaded(server, UNUSED)
        assert server.get("/session").text.strip() == '{"n":1}', (
            "the app's import of the module with the route was not lazy"
        )
        assert server.get("/page").text == "<A>"


@HAS_SOME
@NEEDS_TWO_WORKERS
def test_first_requests_that_come_at_once(flask_site):
    with flask_site("--threads", "8", workers=2) as server, ThreadPoolExecutor(16) as clients:
        targets = list(ANSWERS) * 8
        assert [answer.status for answer in clients.map(server.get, targets)] == [ANSWERS[path] for path in targets]


@HAS_SOME
@pytest.mark.parametrize(("option", "mode"), [("off", "normal"), ("on", "all")])
def test_off_and_on(flask_site, option, mode):
    with flask_site("--lazy-imports", option) as server:
        assert server.get("/mode").text == mode
        registered = server.get("/session").status
        assert registered == (200 if option == "off" else 404), "on is for apps that were made for it"
        if option == "off":
            assert is_loaded(server, UNUSED)


@HAS_SOME
def test_python_that_was_told_to_be_lazy_stays_so(flask_site):
    with flask_site(env={"PYTHON_LAZY_IMPORTS": "all"}) as server:
        assert server.get("/mode").text == "all"
    with flask_site("--lazy-imports", "off", env={"PYTHON_LAZY_IMPORTS": "all"}) as server:
        assert server.get("/mode").text == "normal"
        assert server.get("/session").status == 200


@HAS_SOME
@pytest.mark.parametrize("option", ["auto", "on"])
def test_files_with_names_of_the_standard_library(tmp_path, option):
    folder = tmp_path / "site"
    folder.mkdir()
    for name in ("queue", "types", "token", "selectors", "glob", "string"):
        (folder / f"{name}.py").write_text("raise ImportError('the app has it')\n", encoding="utf-8")
    code = "async def app(scope, receive, send):\n"
    code += "    await send({'type': 'http.response.start', 'status': 204})\n"
    code += "    await send({'type': 'http.response.body'})\n"
    (folder / "main.py").write_text(code, encoding="utf-8")
    options = ("--app-dir", "site", "--lazy-imports", option, "--lifespan", "off")
    with running("main:app", *options, cwd=tmp_path) as server:
        assert server.get("/").status == 204
        assert "the app has it" not in server.err


@HAS_SOME
@ONE_RUNTIME
@pytest.mark.parametrize(("extensions", "status"), [("vetted", 200), ("native", 500)])
def test_an_extension_that_is_imported_in_a_request_is_judged_like_any(tmp_path, extensions, status):
    pytest.importorskip("orjson")
    code = "import orjson\n\ndef app(environ, start_response):\n"
    code += "    body = orjson.dumps([1])\n    start_response('200 OK', [])\n    return [body]\n"
    (tmp_path / "main.py").write_text(code, encoding="utf-8")
    options = ("--lazy-imports", "on", "--extensions", extensions)
    with running("main:app", *options, cwd=tmp_path, workers=2) as server:
        assert "C extension" not in server.err
        assert {server.get("/").status for _ in range(8)} == {status}
        if status == 500:
            assert "lazy import of 'orjson' raised an exception during resolution" in server.err


@HAS_SOME
def test_an_import_that_fails_because_it_was_lazy(tmp_path):
    (tmp_path / "main.py").write_text("import nowhere\napp = nowhere.app\n", encoding="utf-8")
    server = Server("main:app", "--port", "0", "--lazy-imports", "on", cwd=tmp_path)
    try:
        assert server.wait_ended() == 3
        assert "No module named 'nowhere'" in server.err
        assert "--lazy-imports off does all imports at once" in server.err
    finally:
        server.kill()


@pytest.mark.skipif(EXIST, reason="before Python 3.15")
def test_a_python_without_them():
    assert "lazy_imports can't be on before Python 3.15" in fails("--lazy-imports", "on")
    with running("behaviors:app", "--lazy-imports", "auto") as server:
        assert server.get("/").status == 200
    with running("behaviors:app", env={"SNAKEPIT_LAZY_IMPORTS": "off"}) as server:
        assert server.get("/").status == 200


@HAS_SOME
@ONE_RUNTIME
def test_a_program_with_lazy_imports_of_its_own(tmp_path):
    """Where a program serves, its own imports stay as it wants them."""
    code = """
import sys
sys.set_lazy_imports("all")
import snakepit

async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})

if __name__ == "__main__":
    import asyncio
    async def main():
        server = snakepit.Server(snakepit.Config(app, port=0, interpreters=1, runtime="thread", lifespan="on"))
        task = asyncio.create_task(server.serve())
        while not server.address:
            await asyncio.sleep(0.01)
        server.stop()
        await task
        print(sys.get_lazy_imports())
    asyncio.run(main())
"""
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.stdout == "all\n", done.stderr
