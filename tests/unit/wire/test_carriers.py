"""snakepit.wire.sockets and snakepit.wire.loop_sockets: frames, and both sides of a socket between two processes."""

import asyncio
import itertools
import os
import socket
import subprocess
import sys
import threading
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import PATIENCE, until

from snakepit.wire.loop_sockets import LoopSocketCarrier, SocketChannel
from snakepit.wire.sockets import WAITS, BlockingSocketCarrier, FrameReader, frame

MIB = 2**20
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="hands a file descriptor to a process")


# -- frames ----------------------------------------------------------------------------------------------------------

items = st.binary(max_size=40) | st.lists(st.binary(max_size=40), min_size=2, max_size=5).map(tuple)
said = st.lists(items | st.none(), max_size=8)  # None: that the sender waits


def wire(said):
    return b"".join(WAITS if item is None else b"".join(frame(item)) for item in said)


@given(said, st.lists(st.integers(0, 400), max_size=12))
def test_frames_are_the_same_however_they_are_cut(said, cuts):
    data = wire(said)
    cuts = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    reader, waits = FrameReader(), []
    for start, end in itertools.pairwise(cuts):
        arrived = len(reader.items)
        if reader.feed(data[start:end]):
            waits.append(end)
        assert list(reader.items)[:arrived] == [item for item in said if item is not None][:arrived]
    assert list(reader.items) == [item for item in said if item is not None]
    ends = [len(wire(said[: index + 1])) for index, item in enumerate(said) if item is None]
    assert waits == [at for before, at in itertools.pairwise(cuts) if any(before < end <= at for end in ends)]


@given(said)
def test_frames_byte_by_byte(said):
    reader = FrameReader()
    waits = sum(reader.feed(bytes([byte])) for byte in wire(said))
    assert list(reader.items) == [item for item in said if item is not None]
    assert waits == said.count(None)


@pytest.mark.parametrize("item", [b"", (b"", b""), (b"", b"a", b""), (b"a",) * 1000, os.urandom(16 * MIB)])
def test_frames_of_every_shape(item):
    reader, data = FrameReader(), b"".join(frame(item)) + b"".join(frame(b"next"))
    for start in range(0, len(data), 100_000):
        assert reader.feed(memoryview(data)[start : start + 100_000]) is False
    assert list(reader.items) == [item, b"next"]


def test_many_frames_at_once():
    reader = FrameReader()
    data = b"".join(b"".join(frame(b"%d" % number)) for number in range(50_000))
    assert reader.feed(data + WAITS) is True
    assert list(reader.items) == [b"%d" % number for number in range(50_000)]


# -- both sides ------------------------------------------------------------------------------------------------------


def loops():
    yield pytest.param(asyncio.new_event_loop, id="asyncio")
    try:
        import uvloop
    except ImportError:
        return
    yield pytest.param(uvloop.new_event_loop, id="uvloop")


@pytest.fixture(params=loops())
def play(request):
    """Runs a scenario in a loop in which nothing may go wrong unseen."""

    def run(scenario):
        async def main():
            errors = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
            async with asyncio.timeout(PATIENCE):
                await scenario()
            assert errors == []

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main())

    return run


class Main:
    """A main side that is open, and what came to it."""

    def __init__(self, carrier):
        self.carrier = carrier
        self.came = []
        self.rings = 0

    def rung(self):
        self.rings += 1
        while self.carrier.arrived():
            self.came.append(self.carrier.take())

    def take_all_back(self):
        back = []
        while (item := self.carrier.take_back()) is not None:
            back.append(item)
        return back


@asynccontextmanager
async def main_side():
    """A main side, and the socket of a worker that the test plays."""
    link = SocketChannel()
    main = Main(link.main_carrier())
    theirs = link._theirs.dup()
    await main.carrier.open(asyncio.get_running_loop(), main.rung)
    try:
        with theirs:
            theirs.settimeout(PATIENCE)
            yield main, theirs
    finally:
        main.carrier.close()
        await main.carrier.wait_closed()


async def ask(main, theirs):
    rings = main.rings
    theirs.sendall(WAITS)
    await until(lambda: main.rings > rings)


def nothing_on(sock):
    sock.setblocking(False)
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    finally:
        sock.settimeout(PATIENCE)


def read(sock, size):
    got = b""
    while len(got) < size:
        got += sock.recv(size - len(got))
    return got


def test_nothing_is_sent_until_the_worker_asks(play):
    async def scenario():
        async with main_side() as (main, theirs):
            for item in (b"1", b"2", b"3"):
                main.carrier.send(item)
            await asyncio.sleep(0)
            assert main.carrier.waiting() == 3
            assert nothing_on(theirs)
            await ask(main, theirs)
            first = b"".join(frame(b"1"))
            assert read(theirs, len(first)) == first
            await asyncio.sleep(0)
            assert nothing_on(theirs), "one frame for each time it asks"
            assert main.carrier.waiting() == 3, "as far as is known it has not taken the first"
            await ask(main, theirs)
            assert main.carrier.waiting() == 2
            assert read(theirs, len(first)) == b"".join(frame(b"2"))

    play(scenario)


def test_what_is_sent_to_one_that_has_asked_leaves_at_once(play):
    async def scenario():
        async with main_side() as (main, theirs):
            await ask(main, theirs)
            main.carrier.send((b"a", b"", b"b"))
            data = b"".join(frame((b"a", b"", b"b")))
            assert await asyncio.to_thread(read, theirs, len(data)) == data
            assert main.carrier.take_back() is None

    play(scenario)


def test_what_was_not_sent_can_be_taken_back(play):
    async def scenario():
        async with main_side() as (main, theirs):
            await ask(main, theirs)
            for item in (b"1", b"2", b"3"):
                main.carrier.send(item)
            assert main.take_all_back() == [b"2", b"3"]
            assert main.carrier.waiting() == 1
            await ask(main, theirs)
            assert main.carrier.waiting() == 0
            main.carrier.send(b"4")
            data = b"".join(frame(b"1")) + b"".join(frame(b"4"))
            assert await asyncio.to_thread(read, theirs, len(data)) == data

    play(scenario)


# -- a worker that died ----------------------------------------------------------------------------------------------


def test_an_item_that_a_dead_worker_never_took_comes_back_first(play):
    async def scenario():
        async with main_side() as (main, theirs):
            await ask(main, theirs)
            main.carrier.send(b"1")
            main.carrier.send(b"2")
            theirs.close()
            await main.carrier.wait_ended()
            assert main.carrier.waiting() == 2
            assert main.take_all_back() == [b"1", b"2"]

    play(scenario)


@pytest.mark.parametrize("size", [1, 5000, 4 * MIB])
def test_an_item_that_a_dead_worker_took_in_part_comes_back(play, size):
    async def scenario():
        async with main_side() as (main, theirs):
            await ask(main, theirs)
            main.carrier.send(b"x" * size)
            read(theirs, 8)
            theirs.close()
            await main.carrier.wait_ended()
            assert main.take_all_back() == [b"x" * size]

    play(scenario)


def test_an_item_that_a_dead_worker_took_does_not_come_back(play):
    async def scenario():
        async with main_side() as (main, theirs):
            await ask(main, theirs)
            main.carrier.send(b"1")
            main.carrier.send(b"2")
            read(theirs, len(b"".join(frame(b"1"))))
            theirs.close()
            await main.carrier.wait_ended()
            assert main.take_all_back() == [b"2"]

    play(scenario)


def test_a_worker_that_asked_just_before_it_died_is_sent_nothing_more(play):
    async def scenario():
        async with main_side() as (main, theirs):
            await ask(main, theirs)
            main.carrier.send(b"1")
            main.carrier.send(b"2")
            read(theirs, len(b"".join(frame(b"1"))))
            theirs.sendall(b"".join(frame(b"answer")) + WAITS)
            theirs.close()
            await main.carrier.wait_ended()  # which finds that it asked: but the loop has not turned until now
            assert main.came == [b"answer"]
            assert main.take_all_back() == [b"2"]

    play(scenario)


def test_what_is_sent_once_a_worker_has_died_comes_back(play):
    async def scenario():
        async with main_side() as (main, theirs):
            await ask(main, theirs)
            theirs.close()
            await main.carrier.wait_ended()
            main.carrier.send(b"1")
            main.carrier.send(b"2")
            assert main.take_all_back() == [b"1", b"2"]
            await main.carrier.wait_ended()  # a second time finds nothing to do
            main.carrier.close()
            main.carrier.send(b"3")
            assert main.take_all_back() == [b"3"]

    play(scenario)


def test_all_that_a_worker_said_before_it_died_is_heard(play):
    async def scenario():
        async with main_side() as (main, theirs):
            said = [b"%d" % number * 100 for number in range(100)]
            await ask(main, theirs)
            main.carrier.send(b"x" * (4 * MIB))  # and that this can't be delivered harms nothing
            theirs.sendall(b"".join(b"".join(frame(item)) for item in said))
            theirs.close()
            await main.carrier.wait_ended()
            assert main.came == said
            assert main.take_all_back() == [b"x" * (4 * MIB)]

    play(scenario)


def test_a_dead_workers_socket_that_somebody_else_holds_open(play):
    async def scenario():
        async with main_side() as (main, theirs):
            theirs.sendall(b"".join(frame(b"last")))
            await main.carrier.wait_ended()  # the test still has `theirs`
            assert main.came == [b"last"]

    play(scenario)


def test_ended_after_close(play):
    async def scenario():
        async with main_side() as (main, theirs):
            main.carrier.send(b"1")
            main.carrier.close()
            await main.carrier.wait_ended()
            await main.carrier.wait_closed()
            assert main.take_all_back() == [b"1"]
            assert theirs.recv(1) == b""

    play(scenario)


def test_ended_and_close_before_open():
    async def scenario():
        link = SocketChannel()
        carrier = link.main_carrier()
        carrier.send(b"1")
        await carrier.wait_ended()
        assert carrier.take_back() == b"1"
        carrier.close()
        await carrier.wait_closed()

    asyncio.run(scenario())


WORKER = f"""
import os, sys
sys.path[:] = {sys.path!r}
from snakepit.wire.carrier import attach
carrier = attach(int(sys.argv[1]))
carrier.wait()
carrier.send(b"took " + carrier.take())
"""


@POSIX
@pytest.mark.parametrize(
    ("then", "heard", "left"),
    [
        ("os._exit(7)", [b"took 1"], [b"2", b"3"]),
        ("carrier.wait(); carrier.send(b'took ' + carrier.take())", [b"took 1", b"took 2"], [b"3"]),
        ("carrier._socket.sendall(bytes(4)); print(flush=True); sys.stdin.read()", [b"took 1"], [b"2", b"3"]),
    ],
    ids=["exits", "takes another", "asks and takes nothing"],
)
def test_a_process_that_dies(play, then, heard, left):
    async def scenario():
        link = SocketChannel()
        main = Main(link.main_carrier())
        await main.carrier.open(asyncio.get_running_loop(), main.rung)
        for item in (b"1", b"2", b"3"):
            main.carrier.send(item)
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER + then, str(link.descriptor)],
            pass_fds=[link.descriptor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with process:
            if "stdin" in then:
                await asyncio.to_thread(process.stdout.readline)
                await until(lambda: main.carrier.waiting() == 2)  # so the second has been sent
                process.kill()
            await asyncio.to_thread(process.wait)
        await main.carrier.wait_ended()
        assert main.came == heard
        assert main.take_all_back() == left
        main.carrier.close()

    play(scenario)


# -- a worker's event loop -------------------------------------------------------------------------------------------


@asynccontextmanager
async def worker_side(small=False):
    """A worker's side in this loop, and the main interpreter's socket, which the test plays."""
    ours, theirs = socket.socketpair()
    if small:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    gone, came, rings = [], [], []
    carrier = LoopSocketCarrier(theirs, lambda: gone.append(True))

    def rung():
        rings.append(carrier.waiting())
        had = len(came)
        while carrier.arrived():
            came.append(carrier.take())
        carrier.turned(len(came) == had)

    await carrier.open(asyncio.get_running_loop(), rung)
    carrier.came, carrier.gone, carrier.rings = came, gone, rings
    try:
        with ours:
            ours.settimeout(PATIENCE)
            yield carrier, ours
    finally:
        carrier.close()


def test_a_loop_asks_when_it_opens_and_after_each_item(play):
    async def scenario():
        async with worker_side() as (worker, ours):
            assert await asyncio.to_thread(read, ours, 4) == WAITS
            for number in range(3):
                data = b"".join(frame(b"%d" % number))
                ours.sendall(data[:5])
                await asyncio.sleep(0.01)
                assert nothing_on(ours), "it has not got an item"
                ours.sendall(data[5:])
                assert await asyncio.to_thread(read, ours, 4) == WAITS
                assert nothing_on(ours)
            assert worker.came == [b"0", b"1", b"2"]

    play(scenario)


def test_what_a_turn_has_to_say_leaves_before_it_asks_again(play):
    async def scenario():
        async with worker_side() as (worker, ours):
            read(ours, 4)
            worker._on_rung, before = (lambda: (worker.send(b"answer"), before())), worker._on_rung
            ours.sendall(b"".join(frame(b"question")))
            expected = b"".join(frame(b"answer")) + WAITS
            assert await asyncio.to_thread(read, ours, len(expected)) == expected

    play(scenario)


def test_a_loop_is_held_back_while_nobody_reads(play):
    async def scenario():
        async with worker_side(small=True) as (worker, ours):
            read(ours, 4)
            assert worker.waiting() == 0
            item = b"x" * MIB
            worker.send(item)
            await until(lambda: worker.waiting() > 1000)
            rings = len(worker.rings)
            data = b"".join(frame(item))
            assert await asyncio.to_thread(read, ours, len(data)) == data
            await until(lambda: len(worker.rings) > rings)
            assert worker.waiting() == 0
            assert worker.rings[-1] == 0, "rung when there is room again"

    play(scenario)


def test_all_that_was_sent_before_close_arrives(play):
    async def scenario():
        async with worker_side(small=True) as (worker, ours):
            item = b"x" * (3 * MIB)
            worker.send(item)
            worker.close()
            worker.send(b"too late")
            data = WAITS + b"".join(frame(item))
            reading = asyncio.create_task(asyncio.to_thread(read, ours, len(data)))
            await worker.wait_closed()
            assert await reading == data
            assert ours.recv(1) == b""
            assert not worker.gone

    play(scenario)


def test_sending_on_a_closed_side_is_no_trouble(play, caplog):
    async def scenario():
        async with worker_side() as (worker, _):
            worker.close()
            await worker.wait_closed()
            for _ in range(20):
                worker.send(b"x")
                worker.turned(False)

    play(scenario)
    assert caplog.records == []


@pytest.mark.parametrize("unread", [True, False])
def test_a_loop_is_told_that_the_main_process_has_gone(play, unread):
    """With what was not read it goes by a reset, not by an end of file."""

    async def scenario():
        async with worker_side() as (worker, ours):
            await until(lambda: not nothing_on(ours))
            if not unread:
                read(ours, 4)
            ours.close()
            await until(lambda: worker.gone)
            await worker.wait_closed()

    play(scenario)


# -- a worker's thread -----------------------------------------------------------------------------------------------


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    carrier = BlockingSocketCarrier(theirs)
    ours.settimeout(PATIENCE)
    with ours:
        yield carrier, ours
    carrier.close()


def test_a_thread_asks_once_for_an_item_however_it_comes(pair):
    carrier, ours = pair
    data = b"".join(frame((b"a", b"b")))
    for piece in (data[:3], data[3:9], data[9:]):
        ours.sendall(piece)
        assert carrier.take() is None
        carrier.wait()
    assert carrier.arrived() == 1
    assert carrier.take() == (b"a", b"b")
    assert read(ours, 4) == WAITS
    assert nothing_on(ours)
    ours.sendall(data)
    carrier.wait()
    assert read(ours, 4) == WAITS
    assert carrier.take() == (b"a", b"b")
    assert carrier.take() is None


def test_a_thread_waits_while_nobody_reads(pair):
    carrier, ours = pair
    item = os.urandom(8 * MIB)
    sender = threading.Thread(target=carrier.send, args=(item,))
    sender.start()
    data = b"".join(frame(item))
    assert read(ours, MIB) == data[:MIB]
    assert sender.is_alive()
    assert read(ours, len(data) - MIB) == data[MIB:]
    sender.join(PATIENCE)
    assert not sender.is_alive()


def test_a_thread_is_told_that_the_main_process_has_gone(pair):
    carrier, ours = pair
    ours.close()
    carrier.send(b"to nobody")
    with pytest.raises(ConnectionResetError):
        carrier.wait()
    with pytest.raises(ConnectionResetError):
        carrier.wait()
