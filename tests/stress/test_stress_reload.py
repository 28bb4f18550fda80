"""What it costs to reload and to replace workers under a constant load, in figures: `make stress`.

Each test prints one line of JSON. SNAKEPIT_RUNTIME says what workers run in, as in the end-to-end tests.
"""

import json
import signal
import statistics
import sys
import time
from contextlib import contextmanager

import pytest
from steady_load import loaded
from support import RUNTIME, Client, Server, running, wait_until

SAVES = 20  # of which the median is taken
RELOADS = 100
BROKEN = 5  # every so many reloads there is a syntax error
REPLACEMENTS = 1000
LOOK = REPLACEMENTS // 20  # after so many memory is looked at; it is to be flat in the second half, for the C library's
# arenas, of which each thread that comes takes one, fill up for some hundred
QUICK = 0.5  # seconds from saving to the new answer

FLASK = """
from flask import Flask
app = Flask(__name__)
@app.get("/")
def index():
    return "version {version}"
"""

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(sys.platform != "linux", reason="sends SIGHUP, reads /proc"),
    pytest.mark.skipif(RUNTIME == "thread", reason="the main interpreter replaces nothing"),
]


@contextmanager
def flask_site(folder):
    save(folder, 0)
    server = Server(
        "site_app:app",
        "--reload",
        "--port",
        "0",
        "-n",
        "2",
        "--no-access-log",
        "--timeout-keep-alive",
        "60",
        cwd=folder,
    )
    try:
        server.wait_listening(2)
        server.wait_logged("Watching")
        yield server
    finally:
        server.kill()


def save(folder, version):
    new = folder / "site_app.py.new"
    new.write_text("def app(:" if version is None else FLASK.format(version=version), encoding="utf-8")
    new.replace(folder / "site_app.py")


def wait_for_version(client, version):
    expected = f"version {version}".encode()
    wait_until(lambda: client.request("/").body == expected, f"version {version} answers")


def tell(capsys, **figures):
    with capsys.disabled():
        print("\n" + json.dumps({"python": sys.version.split()[0], "runtime": RUNTIME, **figures}))


def test_from_saving_to_the_new_answer(tmp_path, capsys):
    with flask_site(tmp_path) as server, Client(server) as client:
        with loaded(server) as load:
            times = []
            for version in range(1, SAVES + 1):
                before = time.monotonic()
                save(tmp_path, version)
                wait_for_version(client, version)
                times.append(time.monotonic() - before)
                server.wait_logged("Reloaded in", times=version)
        median = statistics.median(times)
        tell(capsys, what="save to new answer", saves=SAVES, median_ms=round(median * 1000),
             slowest_ms=round(max(times) * 1000), load=vars(load))  # fmt: skip
        assert (load.failed, load.closed) == ([], [])
        assert median < QUICK


def test_a_hundred_reloads_some_of_them_broken_fail_no_request(tmp_path, capsys):
    with flask_site(tmp_path) as server, Client(server) as client:
        with loaded(server) as load:
            broken = 0
            for version in range(1, RELOADS + 1):
                if version % BROKEN:
                    save(tmp_path, version)
                    wait_for_version(client, version)
                    server.wait_logged("Reloaded in", times=version - broken)
                else:
                    broken += 1
                    save(tmp_path, None)
                    server.wait_logged("Not reloaded; still serving the previous version", times=broken)
                    wait_for_version(client, version - 1)
        tell(capsys, what="reloads", reloads=RELOADS, broken=broken, load=vars(load))
        assert (load.failed, load.closed) == ([], [])
        assert server.stop() == 0


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_a_thousand_replacements_fail_no_request_and_leave_memory_as_it_was(app, capsys):
    with running(app, "--no-access-log", "--timeout-keep-alive", "60") as server:
        sizes = []
        with loaded(server) as load:
            for done in range(1, REPLACEMENTS // 2 + 1):  # each replaces two
                server.process.send_signal(signal.SIGHUP)
                server.wait_logged("Reloaded", times=done)
                if done * 2 % LOOK == 0:
                    sizes.append(round(server.rss() / 2**20, 1))
        tell(capsys, what="replacements", app=app, replaced=server.err.count(" ready:") - 2, rss_mib=sizes,
             load=vars(load))  # fmt: skip
        assert (load.failed, load.closed) == ([], [])
        assert server.err.count(" ready:") == REPLACEMENTS + 2
        assert server.stop() == 0
        if sys.version_info >= (3, 14):  # 3.13 loses some MB for each interpreter
            settled = sizes[len(sizes) // 2 :]
            assert max(settled) < min(settled) * 1.05
