"""What HTTP demands of a server that reads requests: the cases of `conformance`, with each parser, loop and interface.

`make conformance` tries the same cases on other servers.
"""

import asyncio

import pytest
from support import ONE_RUNTIME, running
from waiting import PATIENCE

from benchmarks.peers.contenders import ROOT
from conformance.cases import CASES, cases_for
from conformance.servers import PUBLIC, wait_outcomes

pytestmark = ONE_RUNTIME

SERVERS = {
    "httptools, uvloop": ("asgi", "--http", "httptools"),
    "h11, asyncio": ("asgi", "--http", "h11", "--loop", "asyncio"),
    "httptools, asyncio, WSGI": ("wsgi", "--http", "httptools", "--loop", "asyncio"),
    "h11, uvloop, WSGI": ("wsgi", "--http", "h11"),
}


@pytest.fixture(scope="module", params=SERVERS)
def tried(request):
    """The interface, the outcomes of all its cases, and the log."""
    interface, *options = SERVERS[request.param]
    with running(f"conformance.app:{interface}", *options, *PUBLIC, workers=1, cwd=ROOT) as server:
        outcomes = asyncio.run(wait_outcomes(server.port, cases_for(interface), PATIENCE))
        yield interface, outcomes, server


@pytest.mark.parametrize("name", CASES)
def test_case(tried, name):
    interface, outcomes, _ = tried
    case = CASES[name]
    if case.interface not in ("", interface):
        assert name not in outcomes
        return
    outcome = outcomes[name]
    assert case.ways[0].holds(outcome), f"{case.sent[:200]!r}: {outcome}; {outcome.answers}"


def test_what_apps_may_not_send_is_logged(tried):
    _, outcomes, server = tried
    broken = [name for name in outcomes if name.startswith("response ")]
    assert len(broken) > 10
    server.wait_logged("failed in worker 1", times=len(broken))
