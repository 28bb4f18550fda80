"""Each worker starts with the server's environment, without variables that other workers have set."""

import signal
import sys

import pytest
from support import NEEDS_TWO_WORKERS, running, wait_until

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
