"""The pool replaces workers that serve: a new worker is ready before the old one retires."""

import asyncio
import os
import sys

import pytest
from running_pools import client, gate, play, running
from waiting import PATIENCE, until

from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool import endings, retries
from snakepit.server.pool.outcome import Outcome
from snakepit.server.workers import runtimes

VERSIONED = """
from pathlib import Path
VERSION = Path({path!r}).read_text()
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": VERSION.encode()}})
"""


@pytest.fixture
def version(tmp_path):
    """An app that answers with its version; set another, or none, for the workers that start from then on."""
    path = tmp_path / "version"
    path.write_text("1")
    (tmp_path / "versioned.py").write_text(VERSIONED.format(path=str(path)), encoding="utf-8")

    class Version:
        def __init__(self):
            self.app = {"app": "versioned:app", "folder": tmp_path}

        def set(self, text):
            path.unlink() if text is None else path.write_text(text)

    return Version()


def test_a_successor_takes_over_when_it_is_ready(version):
    async def scenario():
        async with running(**version.app, workers=2) as made:
            before = made.pool.workers
            version.set("2")
            async with asyncio.timeout(PATIENCE):
                assert await made.pool.replace(2)
            assert made.pool.workers[0] is before[0]
            assert made.pool.workers[1] is not before[1]
            bodies = {(await made.get("/")).body for _ in range(8)}
            assert bodies == {b"1", b"2"}
            await until(lambda: before[1].state is WorkerState.CLOSED)

    play(scenario)


def test_reload_replaces_all(version):
    async def scenario():
        async with running(**version.app, workers=3) as made:
            version.set("2")
            async with asyncio.timeout(PATIENCE):
                assert await made.pool.reload() == Outcome(3)
            assert {(await made.get("/")).body for _ in range(12)} == {b"2"}

    play(scenario)


@pytest.mark.parametrize("all_at_once", [False, True])
def test_a_successor_that_can_not_start_changes_nothing(version, all_at_once):
    async def scenario():
        async with running(**version.app, workers=2) as made:
            before = made.pool.workers
            version.set(None)
            async with asyncio.timeout(PATIENCE):
                outcome = await (made.pool.replace_all() if all_at_once else made.pool.reload())
            assert (bool(outcome), outcome.count) == (False, 0)
            assert "FileNotFoundError" in outcome.trouble
            assert made.pool.workers == before
            assert (await made.get("/")).body == b"1"
            version.set("2")
            async with asyncio.timeout(PATIENCE):
                assert await made.pool.replace_all()
            assert {(await made.get("/")).body for _ in range(8)} == {b"2"}

    play(scenario)


@pytest.mark.parametrize("app", ["holding:app", "holding:wsgi"])
def test_what_a_worker_has_begun_it_finishes_after_it_was_replaced(app):
    async def scenario():
        with gate() as held:
            async with running(app, threads=2) as made:
                [worker] = made.pool.workers
                exchange = made.request(f"/?{held.query}")
                await held.begun()
                async with asyncio.timeout(PATIENCE):
                    assert await made.pool.replace(1)
                assert worker.state is WorkerState.RETIRING
                assert (await made.get("/")).status == 200, "its successor serves"
                held.release()
                await until(lambda: client(exchange).over)
                assert client(exchange).body == b"held"
                await until(lambda: worker.state is WorkerState.CLOSED)

    play(scenario)


def test_what_a_replaced_worker_does_not_finish_in_time_is_cut():
    async def scenario():
        async with running(retiring_seconds=0.05) as made:
            [worker] = made.pool.workers
            exchange = made.request("/sleep/60")
            await until(lambda: worker.exchanges)
            async with asyncio.timeout(PATIENCE):
                assert await made.pool.replace(1)
            await until(lambda: client(exchange).over)
            assert client(exchange).status == 500
            await until(lambda: worker.state is WorkerState.CLOSED)

    play(scenario)


def test_a_retired_worker_that_does_not_end_is_abandoned_and_its_client_answered(monkeypatch, caplog):
    monkeypatch.setattr(endings, "LAST_CALL", 0.05)

    async def scenario():
        with gate() as held:
            async with running("holding:wsgi", retiring_seconds=0.05, settings={"interface": "wsgi"}) as made:
                [worker] = made.pool.workers
                exchange = made.request(f"/?{held.query}")
                await held.begun()
                async with asyncio.timeout(PATIENCE):
                    assert await made.pool.replace(1)
                assert made.pool.retiring == [worker]
                await until(lambda: client(exchange).over)
                assert client(exchange).status == 500
                assert worker.state is WorkerState.ABANDONED
                assert "does not end" in caplog.text
                assert (await made.get("/")).status == 200
                assert (made.pool.queue.in_progress, made.pool.retiring) == (0, [])
                # the end of the pool does not wait for it, but says that it is still there
                async with asyncio.timeout(PATIENCE):
                    assert await made.close() == 1
                held.release()

    play(scenario)


def test_an_abandoned_worker_that_ends_after_all_is_not_counted(monkeypatch):
    monkeypatch.setattr(endings, "LAST_CALL", 0.05)

    async def scenario():
        with gate() as held:
            async with running("holding:wsgi", retiring_seconds=0.05, settings={"interface": "wsgi"}) as made:
                [worker] = made.pool.workers
                made.request(f"/?{held.query}")
                await held.begun()
                async with asyncio.timeout(PATIENCE):
                    assert await made.pool.replace(1)
                await until(lambda: worker.state is WorkerState.ABANDONED)
                held.release()
                await until(worker.thread.ended.is_set)
                assert await made.close() == 0

    play(scenario)


def test_what_a_stuck_worker_that_retires_has_not_begun_goes_to_others():
    async def scenario():
        with gate() as held:
            async with running("holding:app") as made:
                [worker] = made.pool.workers
                stuck = made.request(f"/?{held.query}")  # holds the loop
                await held.begun()
                behind = made.request("/")
                async with asyncio.timeout(PATIENCE):
                    assert await made.pool.replace(1)
                await until(lambda: client(behind).over)
                assert client(behind).body == b"held"
                assert not client(stuck).over
                assert worker.state is WorkerState.RETIRING
                held.release()
                await until(lambda: client(stuck).over)
                assert client(stuck).body == b"held"

    play(scenario)


def test_a_worker_is_replaced_after_so_many_requests():
    async def scenario():
        async with running(workers=2, max_requests=5) as made:
            before = set(made.pool.workers)
            for _ in range(30):
                assert (await made.get("/")).status == 200
            await until(lambda: not before & set(made.pool.workers))

    play(scenario)


def test_a_worker_is_replaced_after_its_lifetime():
    async def scenario():
        async with running(lifetime=0.2) as made:
            before = set(made.pool.workers)
            await until(lambda: not before & set(made.pool.workers))
            assert (await made.get("/")).status == 200

    play(scenario)


def test_more_and_less_workers():
    async def scenario():
        async with running(workers=2) as made:
            async with asyncio.timeout(PATIENCE):
                assert await made.pool.scale(4) == Outcome(2)
            assert [worker.state for worker in made.pool.workers] == [WorkerState.READY] * 4
            gone = made.pool.workers[1:]
            async with asyncio.timeout(PATIENCE):
                assert await made.pool.scale(0) == Outcome(3)
            assert len(made.pool.workers) == 1
            assert [worker.state for worker in gone] == [WorkerState.CLOSED] * 3
            async with asyncio.timeout(PATIENCE):
                assert await made.pool.scale(1) == Outcome(0)
            assert (await made.get("/")).status == 200

    play(scenario)


SLOW_TO_IMPORT = (
    VERSIONED.replace("VERSION =", "import time\nVERSION =")
    + """
while VERSION == "hangs" and Path({path!r}).read_text() == "hangs":
    time.sleep(0.01)
"""
)


@pytest.fixture
def hanging(tmp_path, version):
    """The same, and it hangs on import as long as its version is "hangs"."""
    path = str(tmp_path / "version")
    (tmp_path / "versioned.py").write_text(SLOW_TO_IMPORT.format(path=path), encoding="utf-8")
    return version


@pytest.mark.parametrize("how", ["replace_all", "reload"])
def test_who_asks_for_a_replacement_gets_what_is_there_then(hanging, how):
    async def scenario():
        async with running(**hanging.app) as made:
            hanging.set("hangs")  # and has been read: a successor that began then has the old version
            first = asyncio.ensure_future(made.pool.replace_all())
            await until(lambda: made.pool._roster.successors)
            dismissed = made.pool._roster.successors[0]
            await until(lambda: dismissed.state is WorkerState.STARTING)
            hanging.set("2")
            async with asyncio.timeout(PATIENCE):
                assert await getattr(made.pool, how)()
                assert await first, "who asked before has the newer one"
            assert (await made.get("/")).body == b"2"
            await until(lambda: dismissed.state is WorkerState.CLOSED)
            assert len(made.pool.workers) == 1

    play(scenario)


def test_a_worker_more_that_can_not_start_is_told_and_tried_again(version, monkeypatch):
    monkeypatch.setattr(retries, "BACKOFF", (0.05, 0.05))

    async def scenario():
        async with running(**version.app) as made:
            version.set(None)
            async with asyncio.timeout(PATIENCE):
                outcome = await made.pool.scale(2)
            assert not outcome
            assert "FileNotFoundError" in outcome.trouble
            assert (await made.get("/")).body == b"1"
            version.set("2")
            await until(lambda: made.pool.workers[1].state is WorkerState.READY)

    play(scenario)


def test_more_workers_while_more_are_on_their_way(hanging):
    async def scenario():
        async with running(**hanging.app) as made:
            hanging.set("hangs")
            more = asyncio.ensure_future(made.pool.scale(3))
            await until(lambda: len(made.pool.workers) == 3)
            same = asyncio.ensure_future(made.pool.scale(3))
            hanging.set("2")
            async with asyncio.timeout(PATIENCE):
                assert (await more, await same) == (Outcome(2), Outcome(0))
            assert [worker.state for worker in made.pool.workers] == [WorkerState.READY] * 3

    play(scenario)


def test_fewer_workers_while_more_are_on_their_way(hanging):
    async def scenario():
        async with running(**hanging.app) as made:
            hanging.set("hangs")
            more = asyncio.ensure_future(made.pool.scale(3))
            await until(lambda: len(made.pool.workers) == 3)
            fewer = asyncio.ensure_future(made.pool.scale(1))
            async with asyncio.timeout(PATIENCE):
                assert (await more).trouble == "worker 2 is not wanted any more"
            assert [worker.number for worker in made.pool.workers] == [1]
            hanging.set("2")
            async with asyncio.timeout(PATIENCE):
                assert await fewer == Outcome(2)

    play(scenario)


def test_the_pool_ends_while_more_are_on_their_way(hanging):
    async def scenario():
        async with running(**hanging.app) as made:
            hanging.set("hangs")
            more = asyncio.ensure_future(made.pool.scale(2))
            await until(lambda: len(made.pool.workers) == 2)
            hanging.set("2")
        async with asyncio.timeout(PATIENCE):
            assert not await more

    play(scenario)


def test_no_channel_for_a_worker_more(monkeypatch, caplog):
    async def scenario():
        async with running() as made:

            def no_more(seats):
                raise OSError(24, "Too many open files")

            monkeypatch.setitem(runtimes.RUNTIMES, "interpreter", no_more)
            outcome = await made.pool.scale(3)
            assert outcome.trouble.startswith("Worker 2 can't be started: no channel for worker 2: Too many open files")
            assert made.pool.wanted == 1
            assert outcome.trouble in caplog.text
            assert (await made.pool.replace(1)).trouble.startswith("no channel for worker 1")

    play(scenario)


def test_what_a_worker_has_served_is_counted():
    async def scenario():
        async with running() as made:
            for _ in range(3):
                await made.get("/")
            [worker] = made.pool.workers
            assert worker.served == 3

    play(scenario)


def test_fewer_workers_while_one_is_being_replaced(hanging):
    async def scenario():
        async with running(**hanging.app, workers=2) as made:
            hanging.set("hangs")
            replacing = asyncio.ensure_future(made.pool.replace(2))
            await until(lambda: made.pool._roster.successors)
            await made.pool.scale(1)
            async with asyncio.timeout(PATIENCE):
                assert await replacing == Outcome(0, "worker 2 is not wanted any more")
            assert [worker.number for worker in made.pool.workers] == [1]
            hanging.set("2")
            await until(lambda: not made.pool.retiring)
            assert [worker.number for worker in made.pool.workers] == [1]
            assert (await made.get("/")).body == b"1"

    play(scenario)


def test_a_lost_worker_that_is_not_wanted_any_more_does_not_come_back(monkeypatch):
    monkeypatch.setattr(retries, "BACKOFF", (60.0, 60.0))

    async def scenario():
        async with running(workers=2) as made:
            made.pool._roster._retries._quick_deaths = 5  # so that the next ones wait
            for _ in range(2):
                made.request("/stop-loop")
            await until(lambda: made.pool._restarts.numbers == {1, 2})
            await made.pool.scale(1)
            assert made.pool._restarts.numbers == {1}
            await made.pool.scale(2)
            await until(lambda: made.pool.workers[1].state is WorkerState.READY)
            assert (await made.get("/")).status == 200

    play(scenario)


def test_recycling_goes_on_after_a_successor_failed(version):
    async def scenario():
        async with running(**version.app, max_requests=2) as made:
            [worker] = made.pool.workers
            version.set(None)
            for _ in range(2):
                await made.get("/")
            await until(
                lambda: made.pool._recycling._limits.get(worker) == worker.served + 2
            )  # it counts anew, for its successor has failed
            version.set("2")
            for _ in range(2):
                assert (await made.get("/")).body == b"1"
            await until(lambda: worker not in made.pool.workers)
            assert (await made.get("/")).body == b"2"

    play(scenario)


def test_a_failure_of_many_is_told_once(version, caplog):
    async def scenario():
        async with running(**version.app, workers=3) as made:
            failed = []
            made.watcher.successor_failed = lambda worker, fault: failed.append(worker.number)
            version.set(None)
            async with asyncio.timeout(PATIENCE):
                assert not await made.pool.replace_all()
            await until(lambda: not made.pool.retiring)
            assert len(failed) == 1
            assert "unexpectedly" not in caplog.text

    play(scenario)


def test_a_patient_pool_shows_what_is_wrong_until_a_version_works(version, caplog):
    async def scenario():
        version.set(None)
        async with running(**version.app, workers=2, patient=True, ready=False) as made:
            waiting = made.request("/")
            await until(lambda: client(waiting).over)
            assert client(waiting).status == 500
            assert b"FileNotFoundError" in client(waiting).body
            assert made.pool.first_ready.is_set()
            assert not made.pool.failure.done()
            assert (await made.get("/")).status == 500
            async with asyncio.timeout(PATIENCE):
                assert not await made.pool.replace_all()
            assert (await made.get("/")).status == 500
            assert caplog.text.count("can't start") == 2, "once for each attempt"
            version.set("1")
            async with asyncio.timeout(PATIENCE):
                assert await made.pool.replace_all()
            assert (await made.get("/")).body == b"1"
            assert made.pool.all_ready.is_set()
            assert made.pool.queue.in_progress == 0

    play(scenario)


WRITES_BYTECODE = pytest.mark.skipif(sys.dont_write_bytecode, reason="Python was told not to")


@pytest.mark.parametrize("runtime", ["interpreter", "process"])
@pytest.mark.parametrize("written", [False, pytest.param(True, marks=WRITES_BYTECODE)])
def test_bytecode_is_written_unless_it_is_not_to_be(tmp_path, runtime, written):
    (tmp_path / "part.py").write_text("BODY = b'1'\n", encoding="utf-8")
    (tmp_path / "whole.py").write_text(
        "from part import BODY\n"
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [BODY]\n",
        encoding="utf-8",
    )
    stamp = 1_000_000_000

    async def scenario():
        os.utime(tmp_path / "part.py", (stamp, stamp))
        settings = {"write_bytecode": written}
        async with running("whole:app", folder=tmp_path, runtime=runtime, settings=settings) as made:
            assert (await made.get("/")).body == b"1"
            (tmp_path / "part.py").write_text("BODY = b'2'\n", encoding="utf-8")
            os.utime(tmp_path / "part.py", (stamp, stamp))  # as of a save within the same second
            async with asyncio.timeout(PATIENCE):
                assert await made.pool.replace(1)
            assert (await made.get("/")).body == (b"1" if written else b"2"), "what is in .pyc has the same stamp"

    play(scenario)


def test_close_while_a_successor_is_on_its_way(version):
    async def scenario():
        async with running(**version.app, workers=2) as made:
            replacing = asyncio.ensure_future(made.pool.replace(1))
            await asyncio.sleep(0)
            await made.close()
            async with asyncio.timeout(PATIENCE):
                assert not await replacing

    play(scenario)


def test_a_worker_that_dies_while_its_successor_starts(monkeypatch):
    monkeypatch.setattr(retries, "BACKOFF", (0.01, 0.03))

    async def scenario():
        async with running() as made:
            [worker] = made.pool.workers
            replacing = asyncio.ensure_future(made.pool.replace(1))
            made.request("/stop-loop")
            async with asyncio.timeout(PATIENCE):
                await replacing
            assert (await made.get("/")).status == 200
            assert worker not in made.pool.workers
            assert len(made.pool.workers) == 1

    play(scenario)
