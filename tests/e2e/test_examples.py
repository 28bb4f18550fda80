"""Each example is served by the real server, as its docstring says, and answers."""

import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support import ONE_RUNTIME
from websockets.sync.client import connect

pytestmark = ONE_RUNTIME

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

# Seconds for a server to start or to end. Only a hang takes so long; slow machines are to pass.
PATIENCE = 60.0


def _collect(stream: Iterator[str], lines: "queue.SimpleQueue[str | None]") -> None:
    """Read a pipe to its end, so that the server never waits for it; None is put last."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def _address(lines: "queue.SimpleQueue[str | None]") -> str:
    """The address that the server prints, once it does."""
    deadline = time.monotonic() + PATIENCE
    seen = []
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            line = None
        if line is None:
            pytest.fail(f"the server said no address within {PATIENCE:g} s:\n{''.join(seen)}")
        if found := re.search(r"Listening on (http://127\.0\.0\.1:\d+)", line):
            return found[1]
        seen.append(line)


@contextlib.contextmanager
def _served(*arguments: str, folder: Path = EXAMPLES) -> Iterator[httpx.Client]:
    """Run Python with these arguments in a folder; a client of the server that they start. Stopped by Ctrl+C."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEPIT_")}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**env, "SNAKEPIT_PORT": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stderr is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_collect, args=(process.stderr, lines))
    reader.start()
    try:
        with httpx.Client(base_url=_address(lines), timeout=PATIENCE, trust_env=False) as client:
            yield client
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()
    said = "".join(iter(lines.get, None))
    assert "Traceback" not in said, said


def _run(app: str, workers: int = 2) -> contextlib.AbstractContextManager[httpx.Client]:
    return _served("-m", "snakepit", "run", app, "--interpreters", str(workers), "--port", "0")


def test_asgi() -> None:
    with _run("asgi:app") as client, client.stream("GET", "/") as response:
        lines = list(response.iter_lines())

    assert response.headers["content-type"] == "text/plain"
    assert [line[:6] for line in lines] == ["1 of 3", "2 of 3", "3 of 3"]
    assert len({re.search("worker [0-9a-f]{8}", line)[0] for line in lines}) == 1


def test_wsgi() -> None:
    with _run("wsgi:app") as client:
        response = client.get("/some/path")

    assert response.status_code == 200
    assert re.fullmatch(r"GET /some/path\nanswered by worker [0-9a-f]{8}, thread \d+\n", response.text)


def test_flask() -> None:
    with _run("flask_app:app") as client:
        answers = [client.get("/hello/Ada").json() for _ in range(8)]
        assert client.get("/").json()["hello"] == "world"

    assert {answer["hello"] for answer in answers} == {"Ada"}
    for worker in {answer["worker"] for answer in answers}:
        counts = [answer["requests"] for answer in answers if answer["worker"] == worker]
        assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize(("attribute", "over"), [("application", "WSGIRequest"), ("asgi", "ASGIRequest")])
def test_django(attribute: str, over: str) -> None:
    with _run(f"django_app:{attribute}") as client:
        answer = client.get("/hello/Ada").json()

    assert (answer["hello"], answer["over"]) == ("Ada", over)


def test_starlette() -> None:
    with _run("starlette_app:app") as client:
        answer = client.get("/").json()
        streamed = client.get("/stream").text.splitlines()

    assert answer["hello"] == "world"
    assert re.fullmatch("[0-9a-f]{8}", answer["worker"])
    assert [line[:6] for line in streamed] == ["1 of 3", "2 of 3", "3 of 3"]


def test_fastapi() -> None:
    with _run("fastapi_app:app") as client:
        receipt = client.post("/orders", json={"item": "tea", "count": 3}).json()
        refused = client.post("/orders", json={"item": "tea", "count": 1000})

    assert (receipt["order"], receipt["total"]) == ({"item": "tea", "count": 3}, 4.5)
    assert refused.status_code == 422


def test_in_code() -> None:
    with _served("in_code.py") as client:
        response = client.get("/")

    assert re.fullmatch(r"answered by worker [0-9a-f]{8}, run as __snakepit_main__\n", response.text)


def test_echo() -> None:
    with _run("echo:app") as client:
        said = client.get("/").text
        with connect(str(client.base_url).replace("http", "ws"), proxy=None) as websocket:
            for data in ("hello", b"\x00\xff"):
                websocket.send(data)
                assert websocket.recv() == data

    assert "websockets ws://127.0.0.1:8000" in said


def test_chat() -> None:  # its page has a test in a browser, test_chat_in_browser.py
    with _run("chat:app", 1) as client:
        page = client.get("/")
        url = str(client.base_url).replace("http", "ws") + "/chat"
        with connect(url, proxy=None) as one, connect(url, proxy=None) as two:
            two.send("I am here")
            assert two.recv() == "I am here"
            one.send("hello")
            while one.recv() != "hello":
                pass
            assert two.recv() == "hello"

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "new WebSocket" in page.text


def test_tenants(tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLES / "tenants", tmp_path / "tenants", ignore=shutil.ignore_patterns(".venv"))
    subprocess.run([sys.executable, folder / "set_up.py"], check=True)
    made = [path.stat().st_mtime_ns for path in folder.glob("*/.venv/made-with")]
    assert len(made) == 3
    subprocess.run([sys.executable, folder / "set_up.py"], check=True)
    assert [path.stat().st_mtime_ns for path in folder.glob("*/.venv/made-with")] == made

    with _served("-m", "snakepit", "run", folder=folder) as client:
        shop, blog, shop_again = (client.get(path).json() for path in ("/shop/", "/blog/", "/shop/"))
        item = client.get("/api/items/tea?price=1.5").json()
        page, script = (client.get(path, headers={"Host": "localhost"}) for path in ("/", "/shop/main.py"))
        tenants = [client.get("/", headers={"Host": f"{name}.localhost"}) for name in ("acme", "globex", "nobody")]

    assert (shop["flask"], blog["flask"]) == ("3.1.3", "2.3.3")
    assert (shop["url"], blog["url"]) == ("/shop/", "/blog/")
    assert (blog["visits"], shop_again["visits"]) == (["blog"], ["shop", "shop"])
    assert (item["app"], item["price"]) == ("api", 1.5)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>One server, several apps" in page.text
    assert script.status_code == 404
    assert [tenant.json() for tenant in tenants[:2]] == [{"app": name, "tenant": name} for name in ("acme", "globex")]
    assert tenants[2].status_code == 404


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_short_and_explained(path: Path) -> None:
    source = path.read_text(encoding="utf-8")

    assert len(source.splitlines()) <= 45
    assert "snakepit run " + path.stem in source or "python " + path.name in source
    assert "curl " in source
