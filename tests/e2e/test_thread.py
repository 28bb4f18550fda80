"""The worker in the main interpreter: the needs of debuggers and profilers, and what that must not break."""

import json
import signal
import sys

import pytest
from support import NOT_ENDING, PATIENCE, RUNTIME, Server, wait_until

pytestmark = [
    pytest.mark.skipif(RUNTIME != "thread", reason="about the thread runtime"),
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
]

SCRIPT = """
import concurrent.futures, json, sys, threading, time
import snakepit

executor = concurrent.futures.ThreadPoolExecutor()

def work():
    print("at work", file=sys.stderr, flush=True)
    time.sleep(1)
    print("work done", file=sys.stderr, flush=True)

def trace(frame, event, argument):
    return None

def see():
    return {
        "module": __name__,
        "thread": threading.current_thread().name,
        "daemon": threading.current_thread().daemon,
        "traced": sys.gettrace() is trace,
        "mark": getattr(sys, "mark", None),
    }

def act(path):
    if path == "/thread":
        threading.Thread(target=work).start()
    elif path == "/executor":
        executor.submit(int).result()
    elif path == "/run":
        snakepit.run(app, port=0)
    return json.dumps(see()).encode()

async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = act(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

def wsgi(environ, start_response):
    body = act(environ["PATH_INFO"])
    start_response("200 OK", [])
    return [body]

if __name__ == "__main__":
    sys.mark = "set by the script"
    threading.settrace(trace)
    for name in sys.argv[1:]:
        snakepit.run(globals()[name], port=0)
        print("run returned", file=sys.stderr, flush=True)
"""


@pytest.fixture(params=["app", "wsgi"])
def served(request, tmp_path):
    yield from serving(tmp_path, request.param)


@pytest.fixture(params=["app", "wsgi"])
def served_twice(request, tmp_path):
    yield from serving(tmp_path, request.param, request.param)


def serving(folder, *arguments):
    (folder / "served.py").write_text(SCRIPT)
    server = Server("served.py", *arguments, cwd=folder, script=True)
    try:
        yield server.wait_listening()
    finally:
        server.kill()


def test_the_app_is_the_scripts_own_where_tracing_sees_it(served):
    seen = json.loads(served.get("/").body)
    assert seen.pop("thread").startswith("snakepit-")
    assert seen == {"module": "__main__", "daemon": False, "traced": True, "mark": "set by the script"}
    assert served.stop() == 0
    assert "run returned" in served.err


def test_threads_of_the_app_finish_before_the_server_ends(served):
    assert served.get("/thread").status == 200
    served.wait_logged("at work")
    assert served.stop() == 0
    assert served.err.index("work done") < served.err.index("Stopped") < served.err.index("run returned")
    assert NOT_ENDING not in served.err


def test_idle_threads_of_an_executor_do_not_hold_the_end_up(served):
    assert served.get("/executor").status == 200
    assert served.stop() == 0
    assert "run returned" in served.err
    assert NOT_ENDING not in served.err


def test_a_second_run_in_one_process(served_twice):
    server = served_twice
    assert server.get("/").status == 200
    server.process.send_signal(signal.SIGINT)
    server.wait_logged("Listening on", times=2)
    wait_until(lambda: server.err.count("\n", server.err.rindex("Listening on")), "the line is complete")
    second = server.err.rpartition("Listening on ")[2].split()[0]
    assert fetch(second)["module"] == "__main__"
    server.process.send_signal(signal.SIGINT)
    assert server.wait_ended() == 0
    assert server.err.count("run returned") == 2
    assert "Traceback" not in server.err


def fetch(address):
    from urllib.request import urlopen

    with urlopen(f"{address}/", timeout=PATIENCE) as answer:
        return json.load(answer)


def test_run_in_a_handler_says_what_is_wrong(served):
    assert served.get("/run").status == 500
    served.wait_logged("snakepit.run() was called in a worker")
    assert served.get("/").status == 200
    assert served.stop() == 0


def test_run_at_the_import_of_a_worker_says_what_is_wrong(tmp_path):
    (tmp_path / "careless.py").write_text("import snakepit\ndef app(environ, start): ...\nsnakepit.run(app, port=0)\n")
    server = Server("careless:app", "--port", "0", cwd=tmp_path)
    try:
        assert server.wait_ended() == 3
        assert "snakepit.run() was called in a worker" in server.err
        assert "if __name__ == '__main__':" in server.err
    finally:
        server.kill()
