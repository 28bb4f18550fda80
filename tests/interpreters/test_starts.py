"""In which order workers start, how often, and for how long."""

import asyncio
import logging
import threading

import pytest
from running_pools import client, gate, make_pool, open_files, play, refuse_threads, running
from waiting import PATIENCE, until

from snakepit.errors import AppImportError, ConfigError, LifespanError, StartTimeout, WorkerLost
from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool import retries, starts
from snakepit.server.workers import watchdog_line

BOTH = pytest.mark.parametrize("runtime", ["interpreter", "process"])

APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        {start_up}
        while True:
            kind = (await receive())["type"]
            await send({{"type": kind + ".complete"}})
    else:
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": b"hello"}})
"""

COUNTED = """
import os
def number():
    file = os.open({path!r}, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(file, b".")
    found = os.lseek(file, 0, os.SEEK_CUR)
    os.close(file)
    return found
"""
"""`number()` says which call of it this is, in whatever worker."""


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(retries, "PAUSE_BEFORE_ATTEMPT", 0.01)


@pytest.fixture
def failing(app_in, tmp_path):
    """An app whose start fails at these attempts, counted over all workers from 1."""

    def write(attempts, where="import"):
        trouble = f"if number() in {set(attempts)!r}: raise RuntimeError('table exists already')"
        if where == "death":
            trouble = f"if number() in {set(attempts)!r}: os._exit(7)"
        source = COUNTED.format(path=str(tmp_path / "count")) + ("" if where == "lifespan" else trouble + "\n")
        return app_in(source + APP.format(start_up=trouble if where == "lifespan" else "pass"))

    return write


# -- the order -------------------------------------------------------------------------------------------------------


@BOTH
def test_the_first_one_starts_alone_until_it_is_ready(app_in, runtime, tmp_path):
    waits = f"""
import asyncio, pathlib
while not pathlib.Path({str(tmp_path / "go")!r}).exists(): await asyncio.sleep(0.005)
await receive()
await send(dict(type='lifespan.startup.complete'))
"""
    source = APP.format(start_up="\n        ".join(waits.strip().splitlines()))

    async def scenario():
        async with running(**app_in(source), workers=3, runtime=runtime, ready=False) as made:
            first, *others = made.pool.workers
            await until(lambda: first.report.interface == "asgi")  # it has imported the app
            assert [worker.state for worker in made.pool.workers] == [WorkerState.STARTING] * 3
            assert not any(worker.report.interface for worker in others)
            assert [t.name for t in threading.enumerate() if t.name.startswith("snakepit-worker-")] in (
                ["snakepit-worker-1"],
                ["snakepit-worker-1"] * 2,  # an interpreter in which the worker has a thread of that name is another
            )
            (tmp_path / "go").touch()
            await until(made.pool.all_ready.is_set)
            assert made.watcher.ready[0] == 1

    play(scenario)


@BOTH
def test_those_that_were_not_started_leave_nothing_behind(app_in, runtime):
    async def scenario():
        with gate() as held:
            source = f"import os\nos.read({held.reader}, 1)\n" + APP.format(start_up="pass")
            before = open_files()
            made = make_pool(**app_in(source), workers=4, runtime=runtime)
            await made.pool.start()
            held.release()
            await made.close()
            assert [worker.state for worker in made.pool.workers][1:] == [WorkerState.CLOSED] * 3
            await until(lambda: open_files() <= before)

    play(scenario)


def test_a_first_one_that_fails_is_the_only_attempt(failing, tmp_path):
    async def scenario():
        async with running(**failing({1, 2, 3, 4}), workers=4, ready=False) as made:
            error = await asyncio.wait_for(made.pool.failure, PATIENCE)
            assert type(error) is AppImportError
        assert (tmp_path / "count").read_text() == "."

    play(scenario)


def test_with_a_patient_pool_the_others_start_though_the_first_one_failed(failing):
    async def scenario():
        async with running(**failing({1}), workers=2, patient=True, ready=False) as made:
            await until(lambda: made.watcher.ready == [2])
            await until(lambda: (made.pool.workers[1].state) is WorkerState.READY)
            assert await made.pool.replace_all()
            await until(made.pool.all_ready.is_set)

    play(scenario)


def test_a_worker_that_waits_to_be_started_is_replaced_by_a_newer_one(app_in, tmp_path):
    go = tmp_path / "go"
    source = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.005)\n" + APP.format(
        start_up="pass"
    )

    async def scenario():
        async with running(**app_in(source), workers=2, patient=True, ready=False) as made:
            waiting = made.pool.workers[1]
            reload = asyncio.ensure_future(made.pool.replace_all())
            await asyncio.sleep(0)
            go.touch()
            assert await asyncio.wait_for(reload, PATIENCE)
            await until(lambda: waiting.state is WorkerState.CLOSED)
            await until(made.pool.all_ready.is_set)
            assert (await made.get("/")).body == b"hello"

    play(scenario)


# -- attempts --------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("where", ["import", "lifespan"])
def test_a_start_that_fails_where_another_one_could_is_tried_again(failing, runtime, where, caplog):
    async def scenario():
        lifespan = {"lifespan": "on" if where == "lifespan" else "auto"}
        async with running(**failing({2, 3}, where), settings=lifespan, workers=2, runtime=runtime) as made:
            assert sorted(made.watcher.ready) == [1, 2]
            assert not made.pool.failure.done()
            assert (await made.get("/")).body == b"hello"

    play(scenario)
    assert caplog.text.count("Worker 2 could not start, though another one could; it is tried again: ") == 2
    assert caplog.text.count("table exists already") >= 2
    assert "ended unexpectedly" not in caplog.text


def test_a_process_that_dies_where_another_one_could_start_is_tried_again(failing, caplog):
    async def scenario():
        async with running(**failing({2}, "death"), workers=2, runtime="process") as made:
            assert sorted(made.watcher.ready) == [1, 2]

    play(scenario)
    assert caplog.text.count("Worker 2 could not start, though another one could; it is tried again: ") == 1


@BOTH
@pytest.mark.parametrize(("where", "kind"), [("import", AppImportError), ("lifespan", LifespanError)])
def test_after_three_attempts_the_server_gives_up(failing, runtime, where, kind, tmp_path, caplog):
    async def scenario():
        lifespan = {"lifespan": "on" if where == "lifespan" else "auto"}
        options = failing(range(2, 100), where)
        async with running(**options, settings=lifespan, workers=2, runtime=runtime, ready=False) as made:
            error = await asyncio.wait_for(made.pool.failure, PATIENCE)
            assert type(error) is kind
            assert "table exists already" in str(error)

    play(scenario)
    assert (tmp_path / "count").read_text() == "." * 4
    assert "Worker 2 could not start in 3 attempts, though another one could" in caplog.text


def test_with_a_patient_pool_it_is_said_once_then(failing, caplog):
    async def scenario():
        async with running(**failing({2, 3, 4}), workers=2, patient=True, ready=False) as made:
            await until(lambda: "could not start in 3 attempts" in caplog.text)
            assert (await made.get("/")).body == b"hello"
            assert await made.pool.replace_all()
            await until(made.pool.all_ready.is_set)

    play(scenario)


def test_a_limit_of_the_system_is_no_race(monkeypatch, app_in):
    async def scenario():
        async with running(**app_in(APP.format(start_up="pass")), workers=2, ready=False) as made:
            made.watcher.worker_ready = lambda worker: refuse_threads(monkeypatch, 100)
            error = await asyncio.wait_for(made.pool.failure, PATIENCE)
            assert type(error) is ConfigError
            assert str(error).startswith("worker 2 can't start: the system gives no more threads (limit")
            monkeypatch.undo()

    play(scenario)


# -- time ------------------------------------------------------------------------------------------------------------

HANGS = {
    "import": "import deeper\n",
    "lifespan waits": APP.format(start_up="import deeper; await deeper.connect()"),
    "lifespan computes": APP.format(start_up="import deeper; deeper.compute()"),
}

DEEPER = """
import asyncio, pathlib, threading, time
def begin():
    pathlib.Path({path!r}).touch()
def begin_aside(loop):
    waits = threading.Event()
    loop.call_soon_threadsafe(loop.call_soon, waits.set)
    waits.wait()
    begin()
async def query():
    async with asyncio.timeout(1000):
        threading.Thread(target=begin_aside, args=[asyncio.get_running_loop()], daemon=True).start()
        await asyncio.Event().wait()
async def connect():
    await asyncio.create_task(query())
def compute():
    begin()
    while True:
        time.sleep(0.01)
"""


@pytest.fixture
def hanging(app_in, tmp_path):
    """An app whose start never ends."""

    def write(how):
        source = DEEPER.format(path=str(tmp_path / "begun"))
        (tmp_path / "deeper.py").write_text(source + ("compute()\n" if how == "import" else ""), encoding="utf-8")
        return app_in(HANGS[how])

    return write


@pytest.fixture
def overdue(monkeypatch, tmp_path):
    """A start has taken too long, or long, as soon as it hangs, whatever the time."""

    async def takes_longer(worker, seconds):
        await until(lambda: (tmp_path / "begun").exists() or worker.state is not WorkerState.STARTING)
        return worker.state is WorkerState.STARTING

    monkeypatch.setattr(starts, "_takes_longer", takes_longer)
    monkeypatch.setattr(watchdog_line, "STACK_SECONDS", PATIENCE)


@BOTH
@pytest.mark.usefixtures("overdue")
@pytest.mark.parametrize(
    ("how", "doing", "at"),
    [
        ("import", "it imports the app", ["in <module>", "in <module>", "in compute"]),
        ("lifespan waits", "it runs the app's lifespan start-up", ["in app", "in connect", "in query", "in wait"]),
        ("lifespan computes", "it runs the app's lifespan start-up", ["in app", "in compute"]),
    ],
)
def test_a_start_that_takes_too_long(hanging, runtime, how, doing, at):
    async def scenario():
        options = {"runtime": runtime, "startup_seconds": 20.0, "ready": False}
        async with running(**hanging(how), **options) as made:
            error = await asyncio.wait_for(made.pool.failure, PATIENCE)
            assert type(error) is StartTimeout
            said, *stack = str(error).splitlines()
            assert said == f"Worker 1 was not ready within 20 s (--timeout-startup): {doing}, and is at"
            calls = [line[line.index(", in ") + 2 :] for line in stack if line.startswith("  File ")]
            assert [call for call in calls if call in at] == at
            assert "snakepit/" not in str(error).replace("\\", "/")
            assert "importlib" not in str(error)

    play(scenario)


@pytest.mark.usefixtures("overdue")
def test_a_start_whose_place_can_not_be_told(app_in, monkeypatch, tmp_path):
    """C code that keeps the GIL: the worker's watchdog can't say anything, either."""
    monkeypatch.setattr(watchdog_line, "STACK_SECONDS", 0.1)

    begun, go = tmp_path / "begun", tmp_path / "go"
    command = f"touch '{begun}'; while [ ! -e '{go}' ]; do sleep 0.05; done"

    async def scenario():
        source = f"import ctypes\nctypes.PyDLL(None).system({command.encode()!r})\n"
        async with running(**app_in(source), startup_seconds=20.0, ready=False) as made:
            try:
                error = await asyncio.wait_for(made.pool.failure, PATIENCE)
            finally:
                go.touch()
            assert type(error) is StartTimeout
            assert str(error).endswith("it imports the app; where in that it is can't be told: C code may keep its GIL")

    play(scenario)


@BOTH
@pytest.mark.usefixtures("overdue")
def test_a_long_start_is_told_once_and_goes_on(app_in, runtime, caplog, tmp_path):
    begun, go = str(tmp_path / "begun"), str(tmp_path / "go")
    source = (
        f"import pathlib, time\npathlib.Path({begun!r}).touch()\n"
        f"while not pathlib.Path({go!r}).exists(): time.sleep(0.005)\n" + APP.format(start_up="pass")
    )

    async def scenario():
        async with running(**app_in(source), runtime=runtime, ready=False) as made:
            await until(lambda: "has been starting" in caplog.text)
            (tmp_path / "go").touch()
            await until(made.pool.all_ready.is_set)
            assert (await made.get("/")).body == b"hello"

    play(scenario)
    [record] = [record for record in caplog.records if "has been starting" in record.getMessage()]
    assert record.levelno == logging.WARNING
    said, *stack = record.getMessage().splitlines()
    assert said == "Worker 1 has been starting for 30 s: it imports the app, and is at"
    assert "written.py" in stack[0]


@pytest.mark.usefixtures("overdue")
def test_what_is_told_of_a_long_start_says_what_will_come_of_it(hanging, caplog):
    async def scenario():
        async with running(**hanging("lifespan waits"), startup_seconds=40.0, ready=False) as made:
            assert type(await asyncio.wait_for(made.pool.failure, PATIENCE)) is StartTimeout

    play(scenario)
    told = "Worker 1 has been starting for 30 s (--timeout-startup gives it up after 40): it runs the app's lifespan"
    assert told in caplog.text


@BOTH
@pytest.mark.usefixtures("overdue")
def test_a_successor_that_takes_too_long_ends_a_reload(app_in, hanging, runtime, caplog, tmp_path):
    async def scenario():
        async with running(**app_in(APP.format(start_up="pass")), runtime=runtime, startup_seconds=20.0) as made:
            hanging("import")
            outcome = await asyncio.wait_for(made.pool.reload(), PATIENCE)
            assert not outcome
            assert outcome.trouble.startswith("Worker 1 was not ready within 20 s (--timeout-startup): it imports")
            assert (await made.get("/")).body == b"hello"
            await until(lambda: not made.pool.retiring)
            assert not made.pool.failure.done()
            app_in(APP.format(start_up="pass") + "# mended\n")
            (tmp_path / "begun").unlink()
            assert await asyncio.wait_for(made.pool.reload(), PATIENCE)

    play(scenario)
    assert "ended unexpectedly" not in caplog.text


@pytest.mark.usefixtures("overdue")
def test_a_replacement_that_takes_too_long_is_tried_again(app_in, hanging, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(retries, "BACKOFF", (0.01, 0.03))
    good = "from behaviors import app\n"

    async def scenario():
        async with running(**app_in(good), startup_seconds=20.0) as made:
            hanging("import")
            await made.get("/stop-loop")
            await until(lambda: "Worker 1 was not ready within 20 s" in caplog.text)
            exchange = made.request("/")
            app_in(good + "# mended\n")
            (tmp_path / "begun").unlink()
            await until(lambda: client(exchange).over)
            assert client(exchange).status == 200

    play(scenario)


@pytest.mark.usefixtures("overdue")
def test_a_patient_pool_shows_what_takes_too_long(hanging):
    async def scenario():
        async with running(**hanging("import"), patient=True, startup_seconds=20.0, ready=False) as made:
            await until(made.pool.first_ready.is_set)
            answer = await made.get("/")
            assert answer.status == 500
            assert b"was not ready within 20 s" in answer.body
            assert not made.pool.failure.done()

    play(scenario)


def test_a_worker_that_is_late_where_another_one_was_in_time_is_tried_again(app_in, tmp_path, caplog):
    source = COUNTED.format(path=str(tmp_path / "count")) + (
        "import time\nwhile number() == 2: time.sleep(600)\n" + APP.format(start_up="pass")
    )
    source = source.replace(
        "while number() == 2: time.sleep(600)", "late = number() == 2\nwhile late: time.sleep(0.01)"
    )

    async def scenario():
        async with running(**app_in(source), workers=2, startup_seconds=PATIENCE, ready=False) as made:
            await until(made.pool.first_ready.is_set)
            for worker in made.pool.workers:
                if worker.state is WorkerState.STARTING:
                    await until(lambda: (tmp_path / "count").read_text() == "..")
                    made.pool._start_timed_out(worker, "Worker 2 was not ready")
            await until(made.pool.all_ready.is_set)

    play(scenario)
    assert "it is tried again: Worker 2 was not ready" in caplog.text
    assert "ended unexpectedly" not in caplog.text


def test_death_of_the_only_one_that_could_start(failing):
    """No other worker could start: no other attempt is made."""

    async def scenario():
        async with running(**failing({1}, "death"), runtime="process", ready=False) as made:
            error = await asyncio.wait_for(made.pool.failure, PATIENCE)
            assert type(error) is WorkerLost

    play(scenario)
