"""Each worker starts with the server's environment and its app's variables, without those of other workers."""

import json
import signal
import sys
from urllib.request import urlopen

import pytest
from support import NEEDS_TWO_WORKERS, PATIENCE, RUNTIME, Server, running, wait_until

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

APP = """
import os, subprocess, sys

os.environ.setdefault("SITE_SETTINGS", "settings_{version}")
os.environ["SITE_STARTS"] = str(int(os.environ.get("SITE_STARTS", "0")) + 1)
os.environ.pop("SITE_DELETED")
NAMES = "SITE_SETTINGS", "SITE_STARTS", "SITE_GIVEN", "SITE_FROM_FILE"
CHILD = [sys.executable, "-c", "import os; print(*map(os.environ.get, " + repr(NAMES) + "))"]

def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/set":
        os.environ["SITE_GIVEN"] = "changed by a request"
    if environ["PATH_INFO"] == "/child":
        return [subprocess.check_output(CHILD)]
    return [" ".join(map(os.environ.get, NAMES)).encode()]
"""


@pytest.fixture
def site(tmp_path):
    """Writes versions of the app, and has them served."""

    class Site:
        def save(self, version):
            new = tmp_path / "site_app.py.new"
            new.write_text(APP.format(version=version), encoding="utf-8")
            new.replace(tmp_path / "site_app.py")

        def serve(self, *options, **more):
            (tmp_path / "vars").write_text("SITE_FROM_FILE=from_the_file\nSITE_GIVEN=not_this\n", encoding="utf-8")
            env = {"SITE_GIVEN": "given", "SITE_DELETED": "not_yet"}
            return running("site_app:app", "--env-file", "vars", *options, cwd=tmp_path, env=env, **more)

    made = Site()
    made.save("of_the_first_version")
    return made


def answers(server, path="/"):
    return {server.get(path).text.strip() for _ in range(8)}


def test_workers_start_with_the_environment_of_the_server(site):
    with site.serve(workers=3) as server:
        expected = {"settings_of_the_first_version 1 given from_the_file"}
        assert answers(server) == answers(server, "/child") == expected


@POSIX
@NEEDS_TWO_WORKERS
def test_after_a_reload_the_new_version_says_what_is_set(site):
    with site.serve() as server:
        assert server.get("/set").text == "settings_of_the_first_version 1 changed by a request from_the_file"
        site.save("of_the_second_version")
        server.process.send_signal(signal.SIGHUP)
        server.wait_logged("Reloaded")
        expected = {"settings_of_the_second_version 1 given from_the_file"}
        assert answers(server) == answers(server, "/child") == expected


@NEEDS_TWO_WORKERS
def test_a_recycled_worker_starts_anew(site):
    with site.serve("--limit-max-requests", "5", workers=1) as server:
        server.get("/set")
        wait_until(lambda: "changed" not in server.get("/").text, "the worker is replaced")
        assert answers(server) == {"settings_of_the_first_version 1 given from_the_file"}


# -- variables of the app alone ----------------------------------------------------------------------------------------

OF_THE_APP = """
import ctypes, os, subprocess, sys

C = ctypes.CDLL(None)
C.getenv.restype = ctypes.c_char_p
NAMES = "SITE_GIVEN", "SITE_NEW", "SITE_FROM_FILE"
CHILD = [sys.executable, "-c", "import os; print(*map(os.environ.get, " + repr(NAMES) + "))"]
WHILE_IMPORTED = os.environ["SITE_NEW"]

def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/child":
        return [subprocess.check_output(CHILD)]
    if environ["PATH_INFO"] == "/c":
        return [b" ".join(C.getenv(name.encode()) or b"None" for name in NAMES)]
    assert WHILE_IMPORTED == os.environ["SITE_NEW"]
    return [" ".join(map(str, map(os.environ.get, NAMES))).encode()]
"""


@POSIX
def test_variables_of_the_app(tmp_path):
    (tmp_path / "site_app.py").write_text(OF_THE_APP, encoding="utf-8")
    (tmp_path / "vars").write_text("SITE_FROM_FILE=file\nSITE_NEW=not this\n", encoding="utf-8")
    options = ("--env-file", "vars", "--env", "SITE_GIVEN=mine", "--env", "SITE_NEW=a=b")
    with running("site_app:app", *options, cwd=tmp_path, env={"SITE_GIVEN": "given"}) as server:
        assert answers(server) == answers(server, "/child") == {"mine a=b file"}
        in_c = {"interpreter": "given not this file"}.get(RUNTIME, "mine a=b file")
        assert answers(server, "/c") == {in_c}


def test_variables_in_a_table_of_the_file(tmp_path):
    (tmp_path / "site_app.py").write_text(OF_THE_APP, encoding="utf-8")
    (tmp_path / "snakepit.toml").write_text(
        'app = "site_app:app"\n[env]\nSITE_GIVEN = "of the table"\nSITE_NEW = "new"\n', encoding="utf-8"
    )
    with running(cwd=tmp_path) as server:
        assert answers(server) == {"of the table new None"}


TWO_APPS = """
import asyncio, json, logging, os, sys, threading, time

import snakepit

snakepit.Server  # before the threads begin

def serve(name, **options):
    servers[name] = snakepit.Server(snakepit.Config("site_app:app", port=0, runtime=sys.argv[1], **options))
    asyncio.run(servers[name].serve())

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    servers = {}
    for name in ("one", "two"):
        options = {"interpreters": 2, "env": (f"SITE_NEW={name}",), "env_file": f"{name}.env"}
        threading.Thread(target=serve, args=(name,), kwargs=options).start()
    while len(servers) < 2 or not all(server.address for server in servers.values()):
        time.sleep(0.01)
    print(json.dumps({name: server.address for name, server in servers.items()}), flush=True)
    while not os.path.exists("go"):
        time.sleep(0.01)
    for server in servers.values():
        server.stop()
"""


@NEEDS_TWO_WORKERS
def test_each_app_of_a_process_has_its_own(tmp_path):
    (tmp_path / "site_app.py").write_text(OF_THE_APP, encoding="utf-8")
    (tmp_path / "two.py").write_text(TWO_APPS, encoding="utf-8")
    for name in ("one", "two"):
        text = f"SITE_FROM_FILE=file of {name}\nSITE_GIVEN=not this\n"
        (tmp_path / f"{name}.env").write_text(text, encoding="utf-8")
    program = Server("two.py", RUNTIME, cwd=tmp_path, env={"SITE_GIVEN": "given"}, script=True)
    try:
        program.wait_listening(4)
        for name, address in json.loads(program.out).items():
            port = int(address.rpartition(":")[2])
            for path in ("/", "/child"):
                found = {get(port, path) for _ in range(6)}
                assert found == {f"given {name} file of {name}"}
        (tmp_path / "go").touch()
        assert program.wait_ended() == 0
    finally:
        program.kill()


def get(port, path):
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
        return answer.read().decode().strip()


def test_what_is_no_variable_is_told_at_the_start(tmp_path):
    server = Server("site_app:app", "--env", "DEBUG", cwd=tmp_path)
    assert server.wait_ended() == 2
    assert server.err == "Error: env must be NAME=VALUE, not 'DEBUG'\n"
