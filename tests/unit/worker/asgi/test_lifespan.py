"""snakepit.worker.asgi.lifespan: auto, on and off, and every way in which start-up and shut-down can go wrong."""

import asyncio

import pytest
from waiting import PATIENCE, turn

from snakepit.errors import LifespanError, LocalProtocolError
from snakepit.worker.asgi.lifespan import Lifespan

modes = pytest.mark.parametrize("mode", ["auto", "on"])


def go_through(app, mode):
    """Start up and shut down; returns the lifespan and what went wrong with the shut-down."""

    async def main():
        async with asyncio.timeout(PATIENCE):
            lifespan = Lifespan(app, mode)
            await lifespan.start()
            return lifespan, await lifespan.shut_down()

    return asyncio.run(main())


def failure(app, mode):
    with pytest.raises(LifespanError) as caught:
        go_through(app, mode)
    return str(caught.value)


class Recorder:
    """An app with a complete lifespan, which keeps what it was told."""

    def __init__(self):
        self.scope = None
        self.seen = []

    async def __call__(self, scope, receive, send):
        self.scope = scope
        for phase in ("startup", "shutdown"):
            self.seen.append(await receive())
            await send({"type": f"lifespan.{phase}.complete"})


@modes
def test_complete(mode):
    app = Recorder()
    _, trouble = go_through(app, mode)
    assert trouble is None
    assert app.seen == [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    assert app.scope == {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}


def test_off():
    app = Recorder()
    _, trouble = go_through(app, "off")
    assert trouble is None
    assert app.scope is None


def test_state_is_what_the_app_left():
    async def app(scope, receive, send):
        await receive()
        scope["state"]["database"] = "open"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    lifespan, _ = go_through(app, "auto")
    assert lifespan.state == {"database": "open"}


def test_start_waits_for_the_app():
    async def main():
        gate = asyncio.Event()

        async def app(scope, receive, send):
            await receive()
            await gate.wait()
            await send({"type": "lifespan.startup.complete"})
            await receive()

        lifespan = Lifespan(app, "on")
        start = asyncio.ensure_future(lifespan.start())
        await turn()
        assert not start.done()
        gate.set()
        async with asyncio.timeout(PATIENCE):
            await start
            await lifespan.shut_down()

    asyncio.run(main())


def test_shut_down_without_start():
    async def main():
        return await Lifespan(Recorder(), "on").shut_down()

    assert asyncio.run(main()) is None


# -- apps without a lifespan -----------------------------------------------------------------------------------------


async def refuses(scope, receive, send):
    if scope["type"] != "http":
        raise TypeError("this app serves nothing but HTTP")


async def raises_at_startup(scope, receive, send):
    await receive()
    raise RuntimeError("no database")


async def returns_at_once(scope, receive, send):
    return


async def exits(scope, receive, send):
    await receive()
    raise SystemExit(3)


async def nonsense(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200})


@pytest.mark.parametrize("app", [refuses, raises_at_startup, returns_at_once, exits, nonsense])
def test_auto_serves_without(app):
    _, trouble = go_through(app, "auto")
    assert trouble is None


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (refuses, "TypeError: this app serves nothing but HTTP"),
        (raises_at_startup, "RuntimeError: no database"),
        (returns_at_once, "the app returned from its lifespan without completing its start-up"),
        (exits, "SystemExit: 3"),
        (nonsense, "the lifespan message 'http.response.start' makes no sense here"),
    ],
)
def test_on_insists(app, reason):
    assert failure(app, "on").endswith(reason)


def test_on_shows_the_apps_traceback():
    message = failure(raises_at_startup, "on")
    assert message.startswith("the app's lifespan start-up failed\nTraceback (most recent call last):\n")
    assert "in raises_at_startup" in message


# -- start-up fails --------------------------------------------------------------------------------------------------


def fails_at_startup(**message):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", **message})

    return app


@modes
@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({}, "the app's lifespan start-up failed"),
        ({"message": ""}, "the app's lifespan start-up failed"),
        ({"message": "no database"}, "the app's lifespan start-up failed: no database"),
        ({"message": "Traceback\n  x\n"}, "the app's lifespan start-up failed\nTraceback\n  x"),
    ],
)
def test_startup_failed(mode, message, text):
    assert failure(fails_at_startup(**message), mode) == text


@modes
def test_startup_failed_and_raised(mode):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "said"})
        raise RuntimeError("raised")

    assert failure(app, mode) == "the app's lifespan start-up failed: said"


# -- shut-down fails -------------------------------------------------------------------------------------------------


def after_startup(then):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await then(receive, send)

    return app


@modes
def test_shutdown_failed(mode):
    async def then(receive, send):
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "still busy"})

    assert go_through(after_startup(then), mode)[1] == "the app's lifespan shut-down failed: still busy"


@modes
def test_raises_at_shutdown(mode):
    async def then(receive, send):
        await receive()
        raise RuntimeError("no goodbye")

    trouble = go_through(after_startup(then), mode)[1]
    assert trouble.startswith("the app's lifespan failed\nTraceback")
    assert trouble.endswith("RuntimeError: no goodbye")


@modes
def test_raises_between(mode):
    async def then(receive, send):
        await turn()
        raise RuntimeError("gave up")

    assert go_through(after_startup(then), mode)[1].endswith("RuntimeError: gave up")


@modes
def test_returns_between(mode):
    async def then(receive, send):
        return

    assert go_through(after_startup(then), mode)[1] is None


@modes
def test_returns_from_shutdown_without_a_word(mode):
    async def then(receive, send):
        await receive()

    assert go_through(after_startup(then), mode)[1] is None


@modes
def test_shutdown_completed_before_it_was_asked_for(mode):
    async def then(receive, send):
        await send({"type": "lifespan.shutdown.complete"})
        await receive()

    assert go_through(after_startup(then), mode)[1] is None


# -- it ends while requests are served -------------------------------------------------------------------------------


def serve_meanwhile(then, mode):
    """Start up, let the lifespan go on until it has nothing more to do, shut down; returns what was told, and when."""
    told = []

    async def main():
        async with asyncio.timeout(PATIENCE):
            lifespan = Lifespan(after_startup(then), mode, told.append)
            await lifespan.start()
            await turn()
            meanwhile = list(told)
            return meanwhile, await lifespan.shut_down()

    meanwhile, trouble = asyncio.run(main())
    assert told == meanwhile
    return meanwhile, trouble


@modes
@pytest.mark.parametrize("error", [RuntimeError("gave up"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_failure_while_serving_is_told_at_once_and_once(mode, error):
    async def then(receive, send):
        raise error

    (told,), trouble = serve_meanwhile(then, mode)
    assert told.startswith("the app's lifespan failed\nTraceback")
    assert type(error).__name__ in told
    assert trouble is None


@modes
def test_one_that_was_cancelled_while_serving(mode):
    async def then(receive, send):
        asyncio.current_task().cancel()
        await receive()

    (told,), trouble = serve_meanwhile(then, mode)
    assert told.endswith("asyncio.exceptions.CancelledError")
    assert trouble is None


@modes
def test_shutdown_failed_while_serving_and_the_exception_behind_it(mode):
    """As Starlette does it."""

    async def then(receive, send):
        await send({"type": "lifespan.shutdown.failed", "message": "Traceback\n  gave up\n"})
        raise RuntimeError("gave up")

    assert serve_meanwhile(then, mode) == (["the app's lifespan failed\nTraceback\n  gave up"], None)


@modes
def test_returning_while_serving_is_no_failure(mode):
    async def then(receive, send):
        pass

    assert serve_meanwhile(then, mode) == ([], None)


@modes
def test_what_fails_at_shutdown_is_not_told_before(mode):
    async def then(receive, send):
        await receive()
        raise RuntimeError("no goodbye")

    told, trouble = serve_meanwhile(then, mode)
    assert told == []
    assert trouble.endswith("RuntimeError: no goodbye")


# -- messages that make no sense -------------------------------------------------------------------------------------


@modes
@pytest.mark.parametrize(
    "kind", ["lifespan.startup.complete", "lifespan.startup.failed", "lifespan.other", "http.response.body"]
)
def test_wrong_message_after_startup(mode, kind):
    seen = []

    async def then(receive, send):
        with pytest.raises(LocalProtocolError, match=f"the lifespan message '{kind}' makes no sense here") as caught:
            await send({"type": kind})
        seen.append(caught.value)
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    assert go_through(after_startup(then), mode)[1] is None
    assert len(seen) == 1


@modes
@pytest.mark.parametrize("kind", ["lifespan.shutdown.complete", "lifespan.shutdown.failed", "lifespan.startup"])
def test_wrong_message_before_startup(mode, kind):
    seen = []

    async def app(scope, receive, send):
        with pytest.raises(LocalProtocolError) as caught:
            await send({"type": kind})
        seen.append(caught.value)
        await receive()
        await send({"type": "lifespan.startup.complete"})

    assert go_through(app, mode)[1] is None
    assert len(seen) == 1


@modes
def test_wrong_message_after_shutdown(mode):
    seen = []

    async def then(receive, send):
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        with pytest.raises(LocalProtocolError) as caught:
            await send({"type": "lifespan.shutdown.complete"})
        seen.append(caught.value)

    assert go_through(after_startup(then), mode)[1] is None
    assert len(seen) == 1


@modes
@pytest.mark.parametrize("turns", range(4))
def test_start_up_is_cancelled_whenever_that_comes(mode, turns):
    """Also before the app has begun with it: nothing of it may run then, and the worker may not wait for it."""
    tidied = []

    async def app(scope, receive, send):
        await receive()
        try:
            await asyncio.Event().wait()
        finally:
            tidied.append(scope["type"])

    async def main():
        async with asyncio.timeout(PATIENCE):
            lifespan = Lifespan(app, mode)
            starting = asyncio.ensure_future(lifespan.start())
            for _ in range(turns):
                await asyncio.sleep(0)
            lifespan.cancel_start()
            await starting
            return await lifespan.shut_down()

    assert asyncio.run(main()) is None
    assert tidied == ["lifespan"] * (turns >= 2)


@modes
def test_a_start_up_that_goes_on_when_it_is_cancelled_is_shut_down(mode):
    seen = []

    async def app(scope, receive, send):
        seen.append((await receive())["type"])
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await send({"type": "lifespan.startup.complete"})
        seen.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})

    async def main():
        async with asyncio.timeout(PATIENCE):
            lifespan = Lifespan(app, mode)
            starting = asyncio.ensure_future(lifespan.start())
            await turn()
            lifespan.cancel_start()
            await starting
            return await lifespan.shut_down()

    assert asyncio.run(main()) is None
    assert seen == ["lifespan.startup", "lifespan.shutdown"]


@pytest.mark.parametrize("tells", [True, False])
def test_what_the_app_has_raised_is_the_cause_of_a_failed_start(tells):
    async def app(scope, receive, send):
        await receive()
        try:
            raise KeyError("mine")
        except KeyError:
            if tells:
                await send({"type": "lifespan.startup.failed", "message": "no"})
            raise

    with pytest.raises(LifespanError) as caught:
        go_through(app, "on")
    assert repr(caught.value.__cause__) == "KeyError('mine')"
