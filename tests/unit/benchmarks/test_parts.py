"""The benchmark of parts, which builds what it measures by hand: it must go on fitting together."""

import asyncio
import itertools
from contextlib import closing

import pytest

from benchmarks import parts


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("request_", [parts.REQUEST, parts.BROWSER], ids=["plain", "browser"])
@pytest.mark.parametrize("http", ["h11", "auto"])
@pytest.mark.parametrize("threads", [None, 1, 8], ids=["asgi", "one thread", "threads"])
def test_the_main_interpreters_part(loop, http, request_, threads):
    with closing(parts.Main(2, loop, http, request_, threads)) as part:
        part()
        part()


def test_the_wsgi_threads_part(loop):
    with closing(parts.Thread(loop, parts.REQUEST)) as part:
        part()
        part()


def test_the_asgi_workers_part(loop):
    with closing(parts.Worker(loop, parts.REQUEST)) as part:
        part()
        part()


@pytest.mark.parametrize("http", ["h11", "auto"])
def test_the_protocols_part(http):
    for requests in (itertools.repeat(parts.BROWSER), parts.never_the_same(parts.BROWSER)):
        part = parts.protocol(http, requests)
        part()
        part()


def test_the_other_parts():
    for part in (parts.crossing(parts.BROWSER), parts.environ(parts.BROWSER), parts.dispatch(16)):
        part()
        part()
