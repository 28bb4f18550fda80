"""Descriptors: the limit on them is raised for the server and not for what apps start."""

import json
import sys

import pytest
from support import Server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")

LIMITED = (
    "import resource, runpy\n"
    "resource.setrlimit(resource.RLIMIT_NOFILE, {limits})\n"
    "runpy.run_module('snakepit', run_name='__main__', alter_sys=True)\n"
)


def limited(soft, hard, *arguments, **options):
    code = LIMITED.format(limits=(soft, hard))
    arguments = ("run", *arguments, "--port", "0", "--interpreters", "1")
    return Server("-c", code, *arguments, script=True, **options).wait_listening()


def test_what_an_app_starts_has_the_limit_that_the_server_was_started_with():
    server = limited(200, 1000, "inheriting:app", env={"INHERITED": "as ever"})
    try:
        told = json.loads(server.get("/").body)
        child = ["200", "as ever", "once", ""]
        assert told == {"own": "1000", "subprocess": child, "shell": child, "asyncio": child}
        assert server.stop() == 0
    finally:
        server.kill()
