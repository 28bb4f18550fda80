"""A WSGI app that tells its limit on open files, and what processes inherit that it starts."""

import asyncio
import json
import os
import resource
import subprocess

WORDS = "read go; ulimit -Sn; echo $INHERITED; echo $SET_BY_THE_APP"  # once the process that started it goes on

os.environ["SET_BY_THE_APP"] = os.environ.get("SET_BY_THE_APP", "") + "once"


async def by_asyncio():
    process = await asyncio.create_subprocess_exec("sh", "-c", WORDS, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return (await process.communicate(b"\n"))[0].decode()


def app(environ, start_response):
    start_response("200 OK", [])
    start = {"input": "\n", "stdout": subprocess.PIPE, "text": True, "check": True}
    told = {
        "own": str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        "subprocess": subprocess.run(["sh", "-c", WORDS], **start).stdout.split("\n"),
        "shell": subprocess.run(WORDS, shell=True, **start).stdout.split("\n"),
        "asyncio": asyncio.run(by_asyncio()).split("\n"),
    }
    return [json.dumps(told).encode()]
