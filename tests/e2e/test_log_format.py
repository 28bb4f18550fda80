"""`--log-format json` with a real server: every line of its output is an object."""

import json
import re

import pytest
from support import NEEDS_TWO_WORKERS, running, workers_of

APP = """
import logging, warnings

log = logging.getLogger("app")

def app(environ, start_response):
    path = environ["PATH_INFO"]
    print("printed", path)
    warnings.warn("careful")
    log.warning("two\\nlines", extra={"user": 5})
    if path == "/fails":
        raise ValueError("no")
    start_response("200 OK", [])
    return [b"hello"]
"""


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


@NEEDS_TWO_WORKERS
def test_json(tmp_path):
    (tmp_path / "logging_app.py").write_text(APP, encoding="utf-8")
    options = "--no-supervise", "--interpreters", "2", "--log-format", "json", "--port", "0"
    with running("logging_app:app", *options, cwd=tmp_path) as server:
        server.wait_listening(workers_of(2))
        assert server.get("/one?a=b").text == "hello"
        assert server.get("/fails").status == 500
        assert server.stop() == 0
    out, err = objects(server.out), objects(server.err)
    printed = [(each["message"], each["worker"]) for each in out if each["logger"] == "stdout"]
    assert [message for message, _ in printed] == ["printed /one", "printed /fails"]
    one, fails = [each for each in out if each["logger"] == "snakepit.access"]
    assert (one["path"], one["query"], one["status"], one["bytes"]) == ("/one", "a=b", 200, 5)
    assert (fails["path"], fails["status"]) == ("/fails", 500)
    assert [one["worker"], fails["worker"]] == [worker for _, worker in printed]
    logged = [each for each in err if each["logger"] == "app"]
    assert [(each["message"], each["level"], each["user"]) for each in logged] == [("two\nlines", "WARNING", 5)] * 2
    assert [each["worker"] for each in logged] == [worker for _, worker in printed]
    assert "UserWarning: careful" in next(each["message"] for each in err if each["logger"] == "py.warnings")
    [error] = [each for each in err if each["level"] == "ERROR"]
    assert error["message"].endswith("ValueError: no")
    assert any(each["message"].startswith("Listening on ") for each in err if each["logger"] == "snakepit.server")


IDS = """
async def asgi(scope, receive, send):
    if scope["type"] == "http":
        request_id = scope["extensions"]["snakepit.request_id"]["id"]
        print("asgi", request_id)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": request_id.encode()})

def wsgi(environ, start_response):
    print("wsgi", environ["snakepit.request_id"])
    start_response("200 OK", [])
    return [environ["HTTP_X_REQUEST_ID"].encode()]
"""


@NEEDS_TWO_WORKERS
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_request_ids(tmp_path, interface):
    (tmp_path / "ids.py").write_text(IDS, encoding="utf-8")
    options = f"ids:{interface}", "--no-supervise", "--request-id", "--log-format", "json", "--lifespan", "off"
    with running(*options, cwd=tmp_path) as server:
        answers = [server.get("/", "X-Request-ID: given"), server.get("/")]
        assert server.stop() == 0
    ids = [answer.text for answer in answers]
    assert ids[0] == "given"
    assert re.fullmatch("[0-9a-f]{32}", ids[1])
    assert [answer.headers["x-request-id"] for answer in answers] == ids
    out = objects(server.out)
    assert [each["request_id"] for each in out if each["logger"] == "snakepit.access"] == ids
    printed = [(each["message"], each["request_id"]) for each in out if each["logger"] == "stdout"]
    assert printed == [(f"{interface} {each}", each) for each in ids]
