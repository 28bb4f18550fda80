"""snakepit.system.limits: what keeps threads from being started."""

import os
import sys
from functools import partial
from types import SimpleNamespace

import pytest

from snakepit.system import cgroups
from snakepit.system.limits import explain

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")

NO_THREAD = "Traceback (most recent call last):\n  File x\nRuntimeError: can't start new thread"
NO_MEMORY = "Traceback (most recent call last):\n  File x\nMemoryError"
INFINITE = -1
V2 = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1 = "33 32 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A system with these limits."""

    def make(user=1000, threads=INFINITE, memory=INFINITE, pids=(), cgroup="0::/a/b\n"):
        values = {"threads": threads, "memory": memory}
        fake = SimpleNamespace(
            RLIMIT_NPROC="threads", RLIMIT_AS="memory", RLIM_INFINITY=INFINITE,
            getrlimit=lambda which: (values[which], values[which]),
        )  # fmt: skip
        monkeypatch.setitem(sys.modules, "resource", fake)
        monkeypatch.setattr(os, "geteuid", lambda: user)
        proc = tmp_path / "proc/self"
        proc.mkdir(parents=True)
        (proc / "cgroup").write_text(cgroup)
        mounts = V2 if cgroup.startswith("0::") else V1
        (proc / "mountinfo").write_text(mounts)
        root = tmp_path / "sys/fs/cgroup"
        for folder, most, used in pids:
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / "pids.max").write_text(f"{most}\n")
            (root / folder / "pids.current").write_text(f"{used}\n")
        thread_limits = partial(cgroups.thread_limits, tmp_path)
        monkeypatch.setattr(cgroups, "thread_limits", thread_limits)

    return make


@pytest.mark.parametrize("fault", ["", "ValueError", NO_THREAD + "\nValueError: no", "MemoryErrors are no fault"])
def test_other_faults(system, fault):
    system(threads=8, memory=2**20)
    assert explain(fault) is None


def test_the_limit_of_a_user(system):
    system(threads=8)
    told = explain(NO_THREAD)
    assert "(limits: 8 processes and threads of this user, ulimit -u)" in told


def test_root_has_no_limit(system):
    system(user=0, threads=8)
    assert "(limits: none that this server can see)" in explain(NO_THREAD)


def test_the_limit_of_a_container_and_those_around_it(system):
    system(pids=[("a/b", "max", 3), ("a", 20, 20), ("", 500, 30)], threads=100)
    told = explain(NO_THREAD)
    found = [told.index(words) for words in ("20 processes and threads of this cont", "100 processes", "500 processes")]
    assert found == sorted(found), "the narrowest first"
    assert "20 in use, pids.max" in told


def test_version_1_of_cgroups(system):
    system(pids=[("pids/c", 9, 9)], cgroup="12:cpu,cpuacct:/c\n7:pids:/c\n")
    assert "9 processes and threads of this container or service, 9 in use" in explain(NO_THREAD)


def test_address_space_holds_the_stacks_of_threads(system):
    system(memory=2**30)
    assert "1048576 KiB of address space, ulimit -v" in explain(NO_THREAD)
    assert "no more memory (limit: 1048576 KiB of address space, ulimit -v)" in explain(NO_MEMORY)


def test_memory_without_a_limit_is_the_apps_business(system):
    system()
    assert explain(NO_MEMORY) is None


def test_a_system_without_cgroups(system, tmp_path):
    system()
    (tmp_path / "proc/self/cgroup").unlink()
    assert "(limits: none that this server can see)" in explain(NO_THREAD)
