"""The start: in which order workers start, what is tried again, and the limits that a start may meet."""

import os
import signal
import socket
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import APPS, NEEDS_TWO_WORKERS, ONE_RUNTIME, PATIENCE, RUNTIME, Server, running, workers_of

APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""

CREATE_ALL = """
import os, time
if not os.path.exists("tables"):
    time.sleep(0.2)
    os.mkdir("tables")
"""

NUMBER = """
import os
with open("count", "ab") as count:
    count.write(b".")
number = os.path.getsize("count")
"""


@pytest.fixture
def app(tmp_path):
    def write(text):
        (tmp_path / "written.py").write_text(text + APP, encoding="utf-8")
        return {"cwd": tmp_path}

    return write


# -- races -----------------------------------------------------------------------------------------------------------


def test_an_app_that_makes_what_is_not_there(app):
    with running("written:app", **app(CREATE_ALL), workers=4) as server:
        server.wait_listening(workers=4)
        assert server.get("/").body == b"hello"
        assert server.stop() == 0
        assert "could not start" not in server.err
        assert "Traceback" not in server.err


@NEEDS_TWO_WORKERS
def test_a_start_that_fails_once_is_tried_again(app):
    with running("written:app", **app(NUMBER + "if number == 2: raise ValueError('locked')\n")) as server:
        server.wait_listening(workers=2)
        assert server.get("/").body == b"hello"
        assert server.stop() == 0
        assert server.err.count("could not start, though another one could; it is tried again") == 1


@NEEDS_TWO_WORKERS
def test_a_start_that_fails_again_and_again_is_given_up_once_and_for_all(app, tmp_path):
    """The supervisor starts no other server process, though this one has listened."""
    source = NUMBER + "if number > 1: raise ValueError('only one can')\n"
    server = Server("written:app", "--port", "0", "-n", "2", **app(source))
    try:
        assert server.wait_ended() == 3
    finally:
        server.kill()
    assert "Listening on" in server.err
    assert server.err.count("could not start in 3 attempts, though another one could") == 1
    assert server.err.endswith("ValueError: only one can\n")
    assert (tmp_path / "count").read_text() == "." * 4


# -- time ------------------------------------------------------------------------------------------------------------


@NEEDS_TWO_WORKERS
@pytest.mark.parametrize("how", ["import tries", "lifespan waits"])
def test_a_start_that_takes_too_long_is_given_up(how):
    limit = ("--timeout-startup", f"{PATIENCE / 4:g}")
    server = Server("starting:app", "--port", "0", "-n", "2", *limit, env={"STARTING": how})
    try:
        assert server.wait_ended() == 3
    finally:
        server.kill()
    assert f"Error: Worker 1 was not ready within {PATIENCE / 4:g} s (--timeout-startup): it" in server.err
    assert "starting.py" in server.err
    assert server.err.count("begun") == 1, "the other worker was not started"
    assert "snakepit/" not in server.err.replace("\\", "/").replace(str(APPS), "")


@pytest.mark.skipif(RUNTIME != "thread", reason="the others end")
def test_a_thread_has_no_time_limit():
    """A debugger may stop the worker there."""
    server = Server("starting:app", "--port", "0", "--timeout-startup", "0.01", env={"STARTING": "lifespan waits"})
    try:
        server.wait_logged("begun")
        assert server.stop(signal.SIGINT) == 0
        assert "--timeout-startup" not in server.err
    finally:
        server.kill()


@NEEDS_TWO_WORKERS
def test_a_reload_that_takes_too_long_is_given_up(app, tmp_path):
    good = app("")
    with running("written:app", "--timeout-startup", f"{PATIENCE / 4:g}", **good) as server:
        app("import threading\nthreading.Event().wait()\n")
        done = server.command("reload", "--pid", str(server.process.pid))
        assert done.returncode != 0
        assert "s (--timeout-startup): it imports the app, and is at" in done.stderr
        assert "written.py" in done.stderr
        assert server.get("/").body == b"hello"
        app("")
        assert server.command("reload", "--pid", str(server.process.pid)).returncode == 0


# -- limits of the system --------------------------------------------------------------------------------------------

LIMITED = """
import os, resource, sys
gigabyte = 2**30
resource.setrlimit(resource.RLIMIT_STACK, (gigabyte, resource.getrlimit(resource.RLIMIT_STACK)[1]))
resource.setrlimit(resource.RLIMIT_AS, (int(float(sys.argv[1]) * gigabyte),) * 2)
os.execv(sys.executable, [sys.executable, "-m", "snakepit", "run", *sys.argv[2:]])
"""
"""Each thread's stack takes a gigabyte of address space, of which there are so many: root is held to this, too."""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere limits on address space are not kept")
@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
@pytest.mark.parametrize("gigabytes", [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 9.5])
def test_too_few_threads(app, gigabytes):
    """It ends with status 2 and names the limit, or it serves; whatever the thread that there was none for."""
    options = ("--port", "0", "-n", "2", "--threads", "3", "--loop", "asyncio")
    server = Server("-c", LIMITED, str(gigabytes), app, *options, script=True)
    try:
        while "Error: " not in server.err and server.err.count(" ready: ") < workers_of(2):
            if server.process.poll() is not None:
                break
        if server.process.poll() is None and "Error: " not in server.err:
            assert server.stop() == 0
        else:
            assert server.wait_ended() == 2
            assert "KiB of address space, ulimit -v" in server.err
            assert "more threads (limit" in server.err or "more memory (limit" in server.err
    finally:
        server.kill()


# -- tracing, and warnings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", ["1", "5"])
def test_tracemalloc(frames):
    with running("behaviors:app", env={"PYTHONTRACEMALLOC": frames}) as server:
        server.wait_listening(workers=2)
        assert server.get("/").body == b"hello"
        assert ("tracemalloc is stopped: with several interpreters" in server.err) is (RUNTIME == "interpreter")
        assert server.stop() == 0


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_no_warnings_of_ours(app):
    arguments = ("-X", "dev", "-W", "error", "-m", "snakepit", "run", app, "--port", "0", "-n", "2")
    server = Server(*arguments, script=True)
    try:
        server.wait_listening(workers=2)
        assert server.get("/").body == b"hello"
        assert server.stop() == 0
        assert "Warning" not in server.err + server.out, server.err
        assert "Traceback" not in server.err
    finally:
        server.kill()


@pytest.mark.parametrize(("app", "status"), [("missing:app", 3), ("behaviors:app", 2)])
def test_no_warnings_of_ours_where_it_can_not_start(app, status):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1] if status == 2 else 0)
        server = Server("-X", "dev", "-W", "error", "-m", "snakepit", "run", app, "--port", port, script=True)
        try:
            assert server.wait_ended() == status
        finally:
            server.kill()
    assert "Warning" not in server.err, server.err


# -- an extension that the app goes without --------------------------------------------------------------------------


@pytest.fixture
def refusing(tmp_path):
    """A package `fast` that goes without its C extension where that refuses: a copy of one that Python has."""
    spec = find_spec("readline")
    if spec is None or spec.origin is None or not os.path.isfile(spec.origin):
        pytest.skip("readline is no file here")
    (tmp_path / "fast").mkdir()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    (tmp_path / "fast" / f"readline{suffix}").write_bytes(Path(spec.origin).read_bytes())
    (tmp_path / "fast" / "__init__.py").write_text(
        "try:\n    from fast import readline\nexcept ImportError:\n    pass\n"
    )


NOTE = "fast.readline, a C extension, refuses to run in several interpreters (imported by "


@ONE_RUNTIME
@pytest.mark.usefixtures("refusing")
def test_what_the_app_goes_without_is_said_once_at_the_start(app):
    with running("written:app", **app("import fast\n"), workers=3) as server:
        server.wait_listening(workers=3)
        assert server.err.count(NOTE + "written → fast). The app goes without it") == 1
        assert "--runtime process: each worker is a process then; or " in server.err


@ONE_RUNTIME
@pytest.mark.usefixtures("refusing")
def test_what_is_refused_later_is_said_then(app):
    late = "def load():\n    import fast\nimport threading\n"
    with running("written:application", **app(late + LATE), workers=1) as server:
        assert NOTE not in server.err
        assert server.get("/").body == b"served"
        server.wait_logged(NOTE + "written → fast)")


LATE = """
def application(environ, start_response):
    load()
    start_response("200 OK", [])
    return [b"served"]
"""
