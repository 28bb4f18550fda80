"""Workers that leak are replaced: real memory, and real workers."""

import pytest
from running_pools import play, running
from waiting import until

from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool import wear as wear_module
from snakepit.system.memory import resident_memory

MIB = 2**20
LEAK = 64 * MIB

pytestmark = pytest.mark.skipif(resident_memory() is None, reason="this system does not tell")


@pytest.fixture
def quickly(monkeypatch):
    """Check memory often, and treat no worker as fresh."""
    monkeypatch.setattr(wear_module, "CHECK_PERIOD", 0.01)
    monkeypatch.setattr(wear_module, "FRESH", 0.0)
    monkeypatch.setattr(wear_module, "TAKEN", 0.0)


@pytest.mark.parametrize("app", ["leaking:app", "leaking:wsgi"])
def test_in_processes_the_one_that_leaks_is_replaced(quickly, app, caplog):
    async def scenario():
        async with running(app, workers=2, threads=1, runtime="process", max_rss=LEAK) as made:
            before = made.pool.workers
            assert all(0 < worker.thread.memory < LEAK for worker in before)
            assert (await made.get(f"/?{LEAK}")).body == b"%d" % LEAK
            await until(lambda: made.pool.workers != before)
            [worn] = set(before) - set(made.pool.workers)
            await until(lambda: worn.state is WorkerState.CLOSED)
            assert worn.thread.memory is None
            assert {(await made.get("/")).body for _ in range(4)} == {b"0"}
            assert len(set(before) & set(made.pool.workers)) == 1

    caplog.set_level("INFO")
    play(scenario)
    assert caplog.text.count("it is replaced") == 1


@pytest.mark.parametrize("seen_to", [False, True])
def test_in_interpreters_the_process_is_worn_out(quickly, seen_to):
    async def scenario():
        limit = resident_memory() + 200 * MIB
        async with running("leaking:app", workers=2, max_rss=limit) as made:
            before = made.pool.workers
            reasons = []

            def worn_out(reason):
                reasons.append(reason)
                return seen_to

            made.watcher.on_worn_out = worn_out
            for _ in range(4):
                assert (await made.get(f"/?{LEAK}")).status == 200
            await until(lambda: reasons)
            if not seen_to:
                await until(lambda: not set(before) & set(made.pool.workers))
                await until(lambda: all(worker.state is WorkerState.CLOSED for worker in before))
                await until(lambda: resident_memory() < limit)
            assert len(reasons) == 1
            assert "MiB in RAM, more than --workers-max-rss" in reasons[0]
            assert made.pool.workers == before or not seen_to

    play(scenario)


def test_a_worker_whose_successor_can_not_start_goes_on(quickly, tmp_path, monkeypatch):
    source = """
from pathlib import Path
if Path({path!r}).exists():
    raise RuntimeError("not now")
LEAKED = []
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError
    LEAKED.append(b"x" * int(scope["query_string"] or b"0"))
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body"}})
"""

    async def scenario():
        flag = tmp_path / "flag"
        (tmp_path / "moody.py").write_text(source.format(path=str(flag)), encoding="utf-8")
        async with running("moody:app", folder=tmp_path, runtime="process", max_rss=LEAK) as made:
            [worker] = made.pool.workers
            failed = []
            made.watcher.successor_failed = lambda worker, fault: failed.append(fault)
            flag.touch()
            await made.get(f"/?{LEAK}")
            await until(lambda: failed)
            assert (await made.get("/")).status == 200
            assert made.pool.workers == [worker]
            flag.unlink()
            await until(lambda: made.pool.workers != [worker])
            assert (await made.get("/")).status == 200

    monkeypatch.setattr(wear_module, "RETRY", 0.01)
    play(scenario)
