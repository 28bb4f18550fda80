"""Exceptions that can't be formatted: each is answered with 500 and stands in the log, and the worker goes on."""

import sys

import pytest
from support import APPS, Server, running

sys.path.insert(0, str(APPS))
from hostile import ERRORS

sys.path.pop(0)


@pytest.mark.parametrize("app", ["wsgi", "asgi"])
def test_whatever_an_app_raises_costs_no_thread_and_no_worker(app):
    with running(f"hostile:{app}", "--threads", "2", "--no-access-log", workers=1) as server:
        answered = {name: server.get(f"/{name}").status for name in ERRORS}
        assert answered == dict.fromkeys(ERRORS, 500)
        assert [server.get("/").body for _ in range(4)] == [b"hello"] * 4
        server.wait_logged(" failed in worker 1", times=len(ERRORS))
        assert server.err.count("Worker 1 ready") == 1
        assert len(server.err) < 1_000_000
        assert server.stop() == 0


def test_an_import_that_raises_such_a_thing_is_told(tmp_path):
    (tmp_path / "raising.py").write_text(
        f"import sys\nsys.path.append({str(APPS)!r})\nimport hostile\nhostile.ERRORS['secretive']()\n"
    )
    server = Server("raising:app", "--port", "0", "--interpreters", "1", cwd=tmp_path)
    assert server.wait_ended() == 3
    assert "Error: Module 'raising' can't be imported\n" in server.err
    assert "Secretive: s\n(it can't be formatted as a whole)" in server.err
