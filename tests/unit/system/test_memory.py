"""snakepit.system.memory."""

import mmap
import os
import subprocess
import sys
import threading
from unittest.mock import Mock

import pytest
from waiting import wait_until

from snakepit.system import memory
from snakepit.system.memory import private_memory, resident_memory, return_freed_memory, return_freed_memory_aside

MIB = 2**20

pytestmark = pytest.mark.skipif(resident_memory() is None, reason="this system does not tell")


def test_our_own():
    before = resident_memory()
    with mmap.mmap(-1, 64 * MIB) as held:  # memory that was not freed before
        for at in range(0, 64 * MIB, mmap.PAGESIZE):
            held[at] = 1
        assert 48 * MIB < resident_memory() - before < 80 * MIB


def test_that_of_another_process():
    code = "held = b'x' * (64 * 2**20); print('made', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == b"made"
        assert 64 * MIB < resident_memory(process.pid) < 256 * MIB
        process.communicate(b"\n")
    assert resident_memory(process.pid) is None, "it has ended"


def test_by_number():
    assert abs(resident_memory(os.getpid()) - resident_memory()) < 16 * MIB


@pytest.mark.skipif(private_memory() is None, reason="only Linux tells it")
def test_private_memory(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * 64 * MIB)
    code = f"""
import mmap
opened = open({str(file)!r}, "rb")
shared = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
for at in range(0, len(shared), mmap.PAGESIZE):
    assert shared[at] == 120
print("mapped", flush=True)
input()
held = b"y" * {64 * MIB}
print("made", flush=True)
input()
"""
    # a process of its own: what other tests have left here may be given back meanwhile
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == b"mapped"
        before = private_memory(process.pid)
        assert resident_memory(process.pid) - before > 48 * MIB
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == b"made"
        assert 48 * MIB < private_memory(process.pid) - before < 80 * MIB
        process.communicate(b"\n")
    assert private_memory(2**22 + 1) is None, "there is no such process"


def test_freed_memory_goes_back_when_it_is_asked_for():
    """What is freed below something that is kept, glibc keeps for ever, unless it is told otherwise."""
    code = """
from snakepit.system.memory import keep_freed_memory, resident_memory, return_freed_memory
keep_freed_memory()
held = [bytes(2000) for _ in range(32_000)]
last = held.pop()
held.clear()
before = resident_memory()
return_freed_memory()
print(before - resident_memory())
"""
    returned = int(subprocess.check_output([sys.executable, "-c", code]))
    if "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", ()) and os.confstr("CS_GNU_LIBC_VERSION"):
        assert returned > 48 * MIB
    else:
        assert returned >= 0


def test_it_is_returned_aside(monkeypatch):
    callers = []
    monkeypatch.setattr(memory, "return_freed_memory", lambda: callers.append(threading.current_thread().name))
    return_freed_memory_aside()
    wait_until(lambda: callers == ["snakepit-memory"])
    monkeypatch.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("can't start new thread")))
    return_freed_memory_aside()
    assert callers == ["snakepit-memory", threading.current_thread().name]


def test_where_nothing_was_freed_nothing_happens():
    return_freed_memory()
    return_freed_memory()
