"""snakepit.server.net.listener: real sockets, on ports that the system picks."""

import asyncio
import errno
import os
import socket
import stat
import sys

import pytest
from pebble import free_ports
from waiting import PATIENCE

from snakepit.config.options import Config
from snakepit.errors import ConfigError
from snakepit.server.event_loop.choice import loop_factory
from snakepit.server.net.listener import Listener, Speaks
from snakepit.server.net.sockets import tcp_sockets

UNIX = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")


@pytest.fixture
def listen():
    """Make listeners that are closed at the end."""
    made = []

    def make(**options):
        listener = Listener(Config("app:app", **({"port": 0} | options)))
        made.append(listener)
        return listener

    yield make
    for listener in made:
        listener.close()


@pytest.fixture
def uds(tmp_path, monkeypatch):
    """A path for a Unix socket: relative, since an absolute one may be longer than the 100 bytes there are for it."""
    monkeypatch.chdir(tmp_path)
    return "a.sock"


def refusal(**options):
    with pytest.raises(ConfigError) as caught:
        Listener(Config("app:app", **({"port": 0} | options)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


def echoed(listener, family, address):
    """Whether a client of a listener that serves is served."""

    async def scenario():
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            await listener.serve(loop, dict.fromkeys(Speaks, Echo))
            with socket.socket(family, socket.SOCK_STREAM) as client:
                client.setblocking(False)
                await loop.sock_connect(client, address)
                await loop.sock_sendall(client, b"hello")
                came = await loop.sock_recv(client, 100)
            listener.close()
            with socket.socket(family, socket.SOCK_STREAM) as late, pytest.raises(OSError, match=r".+"):
                late.connect(address)
        return came == b"hello"

    return asyncio.run(scenario())


# -- TCP -------------------------------------------------------------------------------------------------------------


def test_free_port(listen):
    listener = listen()
    host, port = listener.sockets[0].getsockname()
    assert (host, listener.address) == ("127.0.0.1", f"http://127.0.0.1:{port}")
    assert port > 0
    assert listener.sockets[0].proto == socket.IPPROTO_TCP
    assert not listener.sockets[0].getblocking()


def test_serve(listen):
    listener = listen()
    assert echoed(listener, socket.AF_INET, listener.sockets[0].getsockname())


@pytest.fixture
def ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")


@pytest.fixture
def resolves(monkeypatch):
    """Have host names resolve to these addresses, whatever this machine makes of them."""
    resolve = socket.getaddrinfo

    def make(*addresses):
        def getaddrinfo(host, port, **how):
            return [info for address in addresses for info in resolve(address, port, **how)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return make


def hosts(listener):
    return [sock.getsockname()[0] for sock in listener.sockets]


def test_name_that_has_several_addresses(listen, ipv6, resolves):
    resolves("::1", "127.0.0.1", "127.0.0.1")
    listener = listen(host="localhost")
    assert hosts(listener) == ["127.0.0.1", "::1"]
    port = listener.sockets[0].getsockname()[1]
    assert listener.addresses == [f"http://127.0.0.1:{port}", f"http://[::1]:{port}"]
    assert echoed(listener, socket.AF_INET6, ("::1", port))
    again = listen(host="localhost", port=port)
    assert [sock.getsockname()[1] for sock in again.sockets] == [port, port]


def test_localhost(listen):
    listener = listen(host="localhost")
    assert hosts(listener)[0] == "127.0.0.1"
    assert echoed(listener, socket.AF_INET, listener.sockets[0].getsockname())


def test_name_of_which_this_machine_does_not_have_all_addresses(listen, resolves):
    """As with "::1 localhost" in /etc/hosts of a container without IPv6."""
    resolves("192.0.2.1", "127.0.0.1")
    assert hosts(listen(host="some.name")) == ["127.0.0.1"]
    resolves("192.0.2.1", "198.51.100.1")
    assert "does not have that address" in refusal(host="some.name")


def test_name_with_a_port_that_is_in_use_on_one_of_its_addresses(listen, ipv6, resolves):
    other = listen(host="::1")
    other.sockets[0].listen()
    resolves("127.0.0.1", "::1")
    assert "another process uses this port" in refusal(host="localhost", port=other.sockets[0].getsockname()[1])


def test_another_free_port_is_tried_where_one_address_has_the_first_in_use(listen, resolves, monkeypatch):
    resolves("127.0.0.1", "127.0.0.2")
    if sys.platform != "linux":
        pytest.skip("needs a second loopback address")
    bind, refused = tcp_sockets.__globals__["_tcp_socket"], []

    def bind_but_once(family, address, *further):
        if address[0] == "127.0.0.2" and not refused:
            refused.append(address[1])
            raise OSError(errno.EADDRINUSE, "in use")
        return bind(family, address, *further)

    monkeypatch.setattr("snakepit.server.net.sockets._tcp_socket", bind_but_once)
    listener = listen(host="localhost")
    assert hosts(listener) == ["127.0.0.1", "127.0.0.2"]
    assert len({sock.getsockname()[1] for sock in listener.sockets}) == 1
    assert len(refused) == 1


def test_every_address(listen):
    listener = listen(host="")
    assert listener.address.startswith("http://0.0.0.0:")
    assert hosts(listener) in (["0.0.0.0"], ["0.0.0.0", "::"])


def test_ipv6(listen, ipv6):
    listener = listen(host="::1")
    assert listener.address == f"http://[::1]:{listener.sockets[0].getsockname()[1]}"


def test_port_in_use(listen):
    first = listen()
    first.sockets[0].listen()
    port = first.sockets[0].getsockname()[1]
    text = refusal(port=port)
    assert f"127.0.0.1:{port}" in text
    assert "another process uses this port" in text


def test_all_of_ipv4_and_all_of_ipv6(listen, ipv6):
    port = free_ports(1)[0]
    for places in ((f"0.0.0.0:{port}", f"[::]:{port}"), (f"[::]:{port}", f"0.0.0.0:{port}")):
        listener = listen(port=None, bind=places)
        assert len(listener.addresses) == 2
        assert echoed(listener, socket.AF_INET, ("127.0.0.1", port))
        assert echoed(listen(port=None, bind=places), socket.AF_INET6, ("::1", port))


@pytest.mark.skipif(sys.platform == "win32", reason="there a port can't be bound twice")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_port_that_two_have_bound_and_one_listens_on(listen, loop):
    """Both begin at the same time; Linux lets them bind, and refuses the second one that listens."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    first = listen()
    port = first.sockets[0].getsockname()[1]
    second = listen(port=port)

    async def scenario():
        loop = asyncio.get_running_loop()
        await first.serve(loop, dict.fromkeys(Speaks, Echo))
        with pytest.raises(ConfigError) as caught:
            await second.serve(loop, dict.fromkeys(Speaks, Echo))
        await second.close_empty(loop)
        first.close()
        return str(caught.value)

    assert asyncio.run(scenario(), loop_factory=loop_factory(loop)) == (
        f"can't listen on 127.0.0.1:{port}: another process uses this port; stop it, or choose another with --port"
    )


def test_port_of_a_server_that_is_gone(listen):
    """Its connections may be in TIME_WAIT still."""
    first = listen()
    first.sockets[0].listen()
    address = first.sockets[0].getsockname()
    with socket.create_connection(address) as client:
        first.sockets[0].setblocking(True)
        accepted, _ = first.sockets[0].accept()
        accepted.close()
        assert client.recv(1) == b""
    first.close()
    assert listen(port=address[1]).sockets[0].getsockname() == address


def test_host_that_can_not_be_resolved():
    assert "can't be resolved" in refusal(host="no such host.invalid")
    assert "can't be resolved" in refusal(host="a" * 70)


def test_address_of_another_machine():
    assert "does not have that address" in refusal(host="192.0.2.1")


def test_close_twice(listen):
    listener = listen()
    listener.close()
    listener.close()
    assert listener.sockets[0].fileno() == -1


# -- Unix sockets ----------------------------------------------------------------------------------------------------


@UNIX
def test_unix_socket(listen, uds):
    listener = listen(uds=uds)
    assert listener.address == f"unix:{uds}"
    assert stat.S_IMODE(os.stat(uds).st_mode) == 0o666
    assert echoed(listener, socket.AF_UNIX, uds)
    assert not os.path.exists(uds)


@UNIX
def test_unix_socket_of_a_server_that_is_gone(listen, uds):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as old:
        old.bind(uds)
    assert os.path.exists(uds)
    listener = listen(uds=uds)
    assert echoed(listener, socket.AF_UNIX, uds)


@UNIX
def test_unix_socket_of_a_server_that_runs(uds):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(uds)
        other.listen()
        assert "another process uses it" in refusal(uds=uds)
        assert os.path.exists(uds), "what is not ours stays"


@UNIX
def test_unix_socket_where_a_file_is(uds):
    with open(uds, "w") as file:
        file.write("precious")
    assert "there is another file of that name" in refusal(uds=uds)
    with open(uds) as file:
        assert file.read() == "precious"


@UNIX
def test_unix_socket_where_a_folder_is(uds):
    os.mkdir(uds)
    assert "that is a folder; name a file in it" in refusal(uds=uds)


@UNIX
def test_close_removes_the_file_wherever_the_app_has_gone(listen, uds, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    listener = listen(uds=uds)
    monkeypatch.chdir("elsewhere")
    listener.close()
    assert not (tmp_path / uds).exists()


@UNIX
@pytest.mark.parametrize("path", ["missing/a.sock", "x" * 300])
def test_unix_socket_where_none_can_be(uds, path):
    assert repr(path) in refusal(uds=path)


@UNIX
def test_close_removes_the_file_once(listen, uds):
    listener = listen(uds=uds)
    listener.close()
    assert not os.path.exists(uds)
    with open(uds, "w"):
        pass
    listener.close()
    assert os.path.exists(uds), "by now it belongs to another server"


def test_platform_without_unix_sockets(monkeypatch):
    monkeypatch.delattr(socket, "AF_UNIX", raising=False)
    assert "no Unix sockets" in refusal(uds="a.sock")


# -- inherited sockets -----------------------------------------------------------------------------------------------


@UNIX
def test_close_removes_the_file_of_an_inherited_socket_and_none_that_the_option_names_since(uds):
    with open("other.sock", "w"):
        pass
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(uds)
    sock.listen()
    Listener(Config("app:app", uds="other.sock"), [sock]).close()
    assert (os.path.exists(uds), os.path.exists("other.sock")) == (False, True)


def test_inherited(listen):
    with socket.socket() as parent:
        parent.bind(("127.0.0.1", 0))
        address = parent.getsockname()
        listener = listen(fd=os.dup(parent.fileno()) if sys.platform != "win32" else parent.detach())
    assert listener.address == f"http://127.0.0.1:{address[1]}"
    assert echoed(listener, socket.AF_INET, address)


@UNIX
def test_inherited_unix_socket(listen, uds):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as parent:
        parent.bind(uds)
        listener = listen(fd=os.dup(parent.fileno()))
    assert listener.address == f"unix:{uds}"
    assert echoed(listener, socket.AF_UNIX, uds)


@pytest.mark.skipif(sys.platform == "win32", reason="there a file's descriptor is no handle at all")
def test_inherited_file(tmp_path):
    with open(tmp_path / "file", "w") as file:
        assert "is not a socket" in refusal(fd=file.fileno())
        file.write("still open")


def test_inherited_descriptor_that_is_not_open():
    assert "is not a socket" in refusal(fd=987_654)


@pytest.mark.skipif(sys.platform == "win32", reason="needs dup")
def test_inherited_socket_of_the_wrong_kind():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        descriptor = os.dup(udp.fileno())
        try:
            assert refusal(fd=descriptor) == f"file descriptor {descriptor} is not a stream socket"
        finally:
            try:
                os.close(descriptor)
            except OSError:
                pass  # the server that refused it has closed it


# -- a socket for metrics --------------------------------------------------------------------------------------------


def kinds(listener):
    return [(each.port, each.speaks) for each in listener._listening]


def test_metrics_have_a_socket_of_their_own(listen):
    (port,) = free_ports(1)
    first = listen(metrics_bind=f"127.0.0.1:{port}")
    (of_app, _), (of_metrics, speaks) = kinds(first)
    assert (of_metrics, speaks) == (port, Speaks.METRICS)
    assert first.address == f"http://127.0.0.1:{of_app}"
    assert first.addresses[1] == f"http://127.0.0.1:{port} (metrics)"
    config = Config("app:app", port=0, metrics_bind=f"127.0.0.1:{port}")
    inherited = [socket.socket(fileno=os.dup(sock.fileno())) for sock in reversed(first.sockets)]
    second = Listener(config, inherited)
    try:
        assert kinds(second) == kinds(first), "it is found again"
    finally:
        second.close()


def test_metrics_where_the_app_is():
    (port,) = free_ports(1)
    assert refusal(port=port, metrics_bind=f"127.0.0.1:{port}") == (
        f"metrics_bind has port {port}, where the server listens already"
    )


# -- several servers on one port -------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="needs SO_REUSEPORT")
def test_a_port_that_is_shared(listen):
    one = listen(reuse_port=True)
    other = listen(reuse_port=True, port=one.sockets[0].getsockname()[1])
    assert one.address == other.address


def test_platform_where_ports_are_not_shared(monkeypatch):
    monkeypatch.setattr("snakepit.server.net.sockets._REUSE_PORT", 0)
    assert "no SO_REUSEPORT" in refusal(reuse_port=True)


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", range(6))
def test_whoever_has_connected_is_served_when_no_more_are_accepted(listen, turns):
    """Also whose connection the loop has accepted and not begun yet."""
    listener = listen()

    async def scenario():
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            await listener.serve(loop, dict.fromkeys(Speaks, Echo))
            address = listener.sockets[0].getsockname()
            clients = [socket.create_connection(address) for _ in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            await listener.close_empty(loop)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
            for client in clients:
                with client:
                    client.setblocking(False)
                    await loop.sock_sendall(client, b"hello")
                    assert await loop.sock_recv(client, 100) == b"hello"

    asyncio.run(scenario(), loop_factory=asyncio.SelectorEventLoop)
