"""The pool replaces workers that serve: make before break."""

import asyncio

import pytest
from test_pool import PATIENCE, client, gate, play, running, until

from snakepit.lifecycle import WorkerState
from snakepit.server import pool as pool_module

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
        app = {"app": "versioned:app", "folder": tmp_path}

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
                assert await made.pool.reload()
            assert {(await made.get("/")).body for _ in range(12)} == {b"2"}

    play(scenario)


@pytest.mark.parametrize("all_at_once", [False, True])
def test_a_successor_that_can_not_start_changes_nothing(version, all_at_once):
    async def scenario():
        async with running(**version.app, workers=2) as made:
            before = made.pool.workers
            version.set(None)
            async with asyncio.timeout(PATIENCE):
                assert not await (made.pool.replace_all() if all_at_once else made.pool.reload())
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


def test_what_a_replaced_worker_does_not_finish_in_time_is_cut(monkeypatch):
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
            await made.pool.scale(4)
            await until(lambda: [worker.state for worker in made.pool.workers] == [WorkerState.READY] * 4)
            gone = made.pool.workers[1:]
            await made.pool.scale(0)
            assert len(made.pool.workers) == 1
            await until(lambda: all(worker.state is WorkerState.CLOSED for worker in gone))
            assert (await made.get("/")).status == 200

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
    monkeypatch.setattr(pool_module, "BACKOFF", (0.01, 0.03))

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
