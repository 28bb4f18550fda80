"""snakepit.server.net.http1_services: the deadlines of the connections of one server, and the end of all of them."""

import pytest
from clients import FakeTransport, request
from connections import play
from playing import advance
from waiting import turn

from snakepit.config.options import Config
from snakepit.server.net.client_limits import LAST_LINGER_SECONDS, LINGER_SECONDS
from snakepit.server.routing.router import Router


def connect(world, kind):
    """A client of the first connections of a server, or of others that are made beside them."""
    if kind == "first":
        return world.connect()
    return FakeTransport(world.loop, world.http.beside(Router(world.pool)).new_connection())


@pytest.mark.parametrize("kind", ["first", "beside"])
def test_deadlines_are_those_of_the_options(kind):
    async def scenario(world):
        silent, idle = connect(world, kind), connect(world, kind)
        idle.send(request())
        world.app.respond()
        await advance(2.75)
        assert not idle.ended
        await advance(0.25)
        assert idle.ended
        await advance(3.75)
        assert not silent.ended
        await advance(0.25)
        assert silent.ended

    config = Config("app:app")
    assert (config.timeout_request_head, config.timeout_keep_alive) == (20.0, 5.0)
    play(scenario, timeout_keep_alive=3.0, timeout_request_head=7.0)


@pytest.mark.parametrize("kind", ["first", "beside"])
def test_close_cuts_everybody(kind):
    async def scenario(world):
        working, idle = connect(world, kind), connect(world, kind)
        working.send(request())
        world.http.close()
        await turn()
        assert working.aborted
        assert idle.aborted
        assert world.app.gone

    play(scenario)


@pytest.mark.parametrize("kind", ["first", "beside"])
@pytest.mark.parametrize(("gently", "seconds"), [(False, LAST_LINGER_SECONDS), (True, LINGER_SECONDS)])
def test_clients_have_less_time_to_read_when_the_server_stops(kind, gently, seconds):
    async def scenario(world):
        client = connect(world, kind)
        client.send(b"rubbish\r\n\r\n")
        world.http.drain(gently)
        await advance(seconds - 0.25)
        assert not client.aborted
        await advance(0.25)
        assert client.aborted

    play(scenario)
