"""snakepit.worker.hangs.app_import: an import is ended by an exception, and nothing is raised when it is over."""

import sys
import threading
import time
import weakref

import pytest
from waiting import PATIENCE

from snakepit.errors import WorkerStopping
from snakepit.worker.hangs import threads
from snakepit.worker.hangs.app_import import RunningImport


def load(work):
    """In place of the loader: what is called from here is the app's."""
    return work()


@pytest.fixture
def loading():
    return RunningImport([load.__code__])


@pytest.fixture
def ender(monkeypatch):
    """Ends whatever `loading` is the current one, again and again, from another thread."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    current, over = [], threading.Event()

    def end_all():
        while not over.is_set():
            for loading in current[-1:]:
                loading.end_all(WorkerStopping, False)
            time.sleep(0.0005)  # a watchdog pauses for much longer

    thread = threading.Thread(target=end_all)
    thread.start()
    yield current.append
    over.set()
    thread.join(PATIENCE)


def endless():
    while True:
        pass


def test_an_import_is_ended(loading, ender):
    ender(loading)
    with pytest.raises(WorkerStopping):
        load(endless)
    loading.leave()


def test_nothing_is_raised_afterwards(ender):
    """However close it comes."""
    ended = 0
    for turns in range(300):
        loading = RunningImport([load.__code__])
        try:
            try:
                ender(loading)
                load(lambda turns=turns: [sum(range(100)) for _ in range(turns * 10)])
            finally:
                loading.leave()
        except WorkerStopping:
            loading.leave()  # it may have come just when this was called
            ended += 1
        for _ in range(200):  # here it would come
            pass
    assert ended


def test_one_that_is_raised_in_a_callback_is_not_reported(monkeypatch, capsys):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)

    class Referred:
        pass

    def called_back(reference):
        threads.raise_in(threading.get_ident(), WorkerStopping)
        for _ in range(1000):
            pass

    def fails(reference):
        raise ValueError("of the app's")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
        for callback in (called_back, fails):
            referred = Referred()
            reference = weakref.ref(referred, callback)
            del referred
            assert reference() is None
    err = capsys.readouterr().err
    assert "WorkerStopping" not in err
    assert "ValueError: of the app's" in err
