"""Unusual surroundings of a server: closed streams, removed folders, names that are taken."""

import re
import shutil
import signal
import socket
import sys
from importlib.util import find_spec

import pytest
from support import APPS, NEEDS_TWO_WORKERS, RUNTIME, Answer, Server, read_all, running, wait_until

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")

# -- standard streams ------------------------------------------------------------------------------------------------

STREAMS_APP = """
import os, sys

def app(environ, start_response):
    print("printed by the app")
    print("and an error", file=sys.stderr)
    start_response("200 OK", [])
    null = os.stat(os.devnull)
    found = [os.path.samestat(os.fstat(descriptor), null) for descriptor in range(3)]
    return [f"{found} {sys.stdin.read(1) if found[0] else ''}".encode()]
"""


def ask(path, target="/"):
    """One request to the server on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(path)
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        return Answer(read_all(sock))


@POSIX
@pytest.mark.parametrize("supervise", ["--supervise", "--no-supervise"])
@pytest.mark.parametrize("closed", ["0", "1", "2", "01", "12", "012"])
def test_standard_streams_that_are_closed(tmp_path, closed, supervise, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the socket's path is to be short
    (tmp_path / "streams_app.py").write_text(STREAMS_APP, encoding="utf-8")
    redirections = " ".join(f"{number}{'<' if number == '0' else '>'}&-" for number in closed)
    server = Server(
        "streams_app:app", "-n", "2", "--uds", "s", supervise, cwd=tmp_path, shell=f'exec "$@" {redirections}'
    )
    try:

        def answers():
            assert server.process.poll() is None, f"ended with {server.process.returncode}: {server.err}"
            try:
                return ask("s")
            except OSError:
                return None

        wait_until(answers, "the server answers")
        for _ in range(4):
            answer = answers()
            # standard input is the null device in any case here
            assert (answer.status, answer.text) == (200, f"{[True, '1' in closed, '2' in closed]} ")
        assert server.stop() == 0
        assert ("printed by the app" in server.out) is ("1" not in closed)
        assert ("and an error" in server.err) is ("2" not in closed)
        assert "Traceback" not in server.err
    finally:
        server.kill()


# -- files that are named as modules of the standard library are -----------------------------------------------------

SHADOWED_WSGI = """
import resource, code

def app(environ, start_response):
    if environ["PATH_INFO"] == "/error":
        raise RuntimeError("told in the log")
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/child":
        import os
        return [str(os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1])).encode()]
    return [f"{resource.MINE} {code.MINE}".encode()]
"""

SHADOWED_ASGI = """
import resource, code

async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/error":
        raise RuntimeError("told in the log")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{resource.MINE} {code.MINE}".encode()})
"""


def without_resource(app):
    return app.replace("resource, code", "code").replace("{resource.MINE} ", "")


@pytest.fixture
def shadowed(tmp_path):
    """A folder with a file for each module of the standard library, none of which may be imported in its place.

    Not for those that this system does not have: who tries whether they are there would find these.
    """
    for name in filter(find_spec, sys.stdlib_module_names - {"__main__"}):
        text = f"MINE = {name!r}\n" if name in ("resource", "code") else f"raise ImportError('shadow of {name}')\n"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("app", [SHADOWED_WSGI, SHADOWED_ASGI], ids=["wsgi", "asgi"])
@pytest.mark.parametrize("options", [[], ["--no-supervise", "--http", "h11", "--loop", "asyncio"]], ids=["", "plain"])
def test_files_of_the_app_that_are_named_as_the_standard_librarys(shadowed, app, options):
    # with runtime thread, the server has imported the standard library's `resource` in the same interpreter
    app, expected = (app, "resource code") if RUNTIME != "thread" else (without_resource(app), "code")
    (shadowed / "shadowed_app.py").write_text(app, encoding="utf-8")
    # as the command snakepit does, and not as python -m, which puts the working directory on the path by itself
    with running("shadowed_app:app", *options, cwd=shadowed, env={"PYTHONSAFEPATH": "1"}) as server:
        assert server.get("/").text == expected
        assert server.get("/error").status == 500
        server.wait_logged("RuntimeError: told in the log")
        if "environ" in app and sys.platform != "win32":
            assert server.get("/child").text == "0"
        if RUNTIME != "thread":
            assert server.command("reload").returncode == 0
            assert server.get("/").text == expected
        assert server.stop() == 0
        assert "shadow of" not in server.err


def test_a_script_in_such_a_folder(shadowed):
    # what a script has imported when it calls run() stays what it is
    call = "if __name__ == '__main__':\n    snakepit.run(app, port=0)\n"
    script = f"import snakepit\n{without_resource(SHADOWED_WSGI)}\n{call}"
    (shadowed / "script.py").write_text(script, encoding="utf-8")
    server = Server("script.py", cwd=shadowed, script=True)
    try:
        assert server.wait_listening().get("/").text == "code"
        assert server.get("/error").status == 500
        server.wait_logged("RuntimeError: told in the log")
        assert server.stop() == 0
    finally:
        server.kill()


# -- a logging configuration that names classes of the app's ---------------------------------------------------------

LOGGING = """{
 "version": 1, "disable_existing_loggers": false,
 "formatters": {"mine": {"()": "own_log.Formatter"}},
 "handlers": {"mine": {"class": "own_log.Handler", "formatter": "mine", "stream": "ext://sys.stderr"}},
 "root": {"level": "INFO", "handlers": ["mine"]}
}"""

OWN_LOG = """
import logging

class Formatter(logging.Formatter):
    def format(self, record):
        return "mine: " + record.getMessage()

class Handler(logging.StreamHandler):
    pass
"""

LOGGING_APP = """
import logging, os
os.chdir("/")

def app(environ, start_response):
    logging.getLogger("shop").info("a request")
    start_response("200 OK", [])
    return [b"hello"]
"""


def make_logging_app(folder):
    folder.mkdir(exist_ok=True)
    (folder / "logging_app.py").write_text(LOGGING_APP, encoding="utf-8")
    (folder / "own_log.py").write_text(OWN_LOG, encoding="utf-8")


@pytest.mark.parametrize("supervise", ["--supervise", "--no-supervise"])
@pytest.mark.parametrize("place", [".", "src"])
def test_log_config_with_classes_of_the_app_and_relative_paths(tmp_path, place, supervise):
    make_logging_app(tmp_path / place)
    (tmp_path / "log.json").write_text(LOGGING, encoding="utf-8")
    options = ("--app-dir", place, "--log-config", "log.json", supervise)
    with running("logging_app:app", *options, cwd=tmp_path, env={"PYTHONSAFEPATH": "1"}) as server:
        assert server.get("/").text == "hello"
        server.wait_logged("mine: a request")
        assert "mine: Listening on" in server.err
        if RUNTIME != "thread":  # by now the app has changed the working directory
            assert server.command("reload", "--pid", str(server.process.pid)).returncode == 0
            assert server.get("/").text == "hello"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", "Cannot resolve 'own_log.Formatter'"),
        ("raise RuntimeError('no logs today')", "no logs today"),
        ("import missing_package", "No module named 'missing_package'"),
    ],
)
def test_log_config_with_a_class_that_is_not_there(tmp_path, code, expected):
    make_logging_app(tmp_path)
    (tmp_path / "own_log.py").write_text(code, encoding="utf-8")
    (tmp_path / "log.json").write_text(LOGGING, encoding="utf-8")
    server = Server("logging_app:app", "--log-config", "log.json", "--port", "0", cwd=tmp_path)
    try:
        assert server.wait_ended() == 2
        assert server.err.startswith(f"Error: log config {str(tmp_path / 'log.json')!r} can't be used: ")
        assert expected in server.err
        assert len(server.err.splitlines()) == 1
    finally:
        server.kill()


# -- releases that a link leads to, and folders that are gone --------------------------------------------------------

RELEASE = """
import helper

def app(environ, start_response):
    start_response("200 OK", [])
    with open("data.txt") as file:
        return [f"{helper.VERSION} {file.read()}".encode()]
"""


def make_release(folder, number):
    folder.mkdir(parents=True)
    (folder / "release_app.py").write_text(RELEASE, encoding="utf-8")
    (folder / "helper.py").write_text(f"VERSION = {number}\n", encoding="utf-8")
    (folder / "data.txt").write_text(str(number), encoding="utf-8")


def publish(current, number):
    new = current.with_name("new")
    new.symlink_to(f"releases/{number}")
    new.replace(current)


@POSIX
@NEEDS_TWO_WORKERS
@pytest.mark.parametrize("module", [True, False], ids=["python -m", "snakepit"])
def test_a_link_to_a_release_is_followed_anew(tmp_path, module):
    for number in (1, 2, 3):
        make_release(tmp_path / "releases" / str(number), number)
    current = tmp_path / "current"
    publish(current, 1)
    env = {"PWD": str(current), "PYTHONSAFEPATH": "" if module else "1"}
    with running("release_app:app", cwd=current, env=env) as server:
        which = ("--pid", str(server.process.pid))
        assert server.get("/").text == "1 1"
        publish(current, 2)
        assert server.command("reload", *which).returncode == 0
        assert {server.get("/").text for _ in range(8)} == {"2 2"}
        publish(current, 3)
        assert server.command("upgrade", *which).returncode == 0
        assert {server.get("/").text for _ in range(8)} == {"3 3"}


@POSIX
@NEEDS_TWO_WORKERS
def test_a_folder_that_was_removed_and_made_again(tmp_path):
    folder = tmp_path / "app"
    make_release(folder, 1)
    with running("release_app:app", cwd=folder, env={"PWD": str(folder)}) as server:
        assert server.get("/").text == "1 1"
        shutil.rmtree(folder)
        make_release(folder, 2)
        server.process.send_signal(signal.SIGHUP)
        server.wait_logged("Reloaded")
        assert {server.get("/").text for _ in range(8)} == {"2 2"}


LEAVE = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'


@POSIX
def test_a_working_directory_that_is_gone(tmp_path):
    with running("behaviors:app", "--app-dir", str(APPS), cwd=tmp_path, shell=LEAVE) as server:
        assert server.get("/").status == 200
        assert server.stop() == 0
        assert "Traceback" not in server.err


@POSIX
@pytest.mark.parametrize("option", ["--app-dir", "--log-config"])
def test_a_relative_path_in_a_working_directory_that_is_gone(tmp_path, option):
    server = Server("behaviors:app", option, "here", "--port", "0", cwd=tmp_path, shell=LEAVE)
    try:
        assert server.wait_ended() == 2
        name = option[2:].replace("-", "_")
        assert server.err == (f"Error: {name}: 'here' is a relative path, and the working directory has been removed\n")
    finally:
        server.kill()


# -- no folder for temporary files -----------------------------------------------------------------------------------

NO_FILES = 'ulimit -f 0 && exec "$@"'  # no byte can be written to any file, as on a file system that is read-only


@POSIX
def test_without_a_folder_for_temporary_files():
    with running("behaviors:app", shell=NO_FILES) as server:
        assert server.get("/").status == 200
        assert server.stop() == 0
        assert "Traceback" not in server.err


@POSIX
@pytest.mark.skipif(RUNTIME != "interpreter", reason="nothing is copied there")
def test_an_extension_that_needs_a_folder_for_temporary_files(tmp_path):
    pytest.importorskip("orjson")
    (tmp_path / "copying_app.py").write_text("import orjson\n" + LOGGING_APP, encoding="utf-8")
    server = Server("copying_app:app", "--port", "0", cwd=tmp_path, shell=NO_FILES)
    try:
        assert server.wait_ended() == 3
        assert "there is no folder for temporary files; set TMPDIR" in server.err
        assert len(re.findall("^Error: ", server.err, re.MULTILINE)) == 1
    finally:
        server.kill()
