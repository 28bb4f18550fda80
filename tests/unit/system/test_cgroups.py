"""snakepit.system.cgroups and snakepit.system.cpus, on trees of files as systems and containers have them."""

import os
import sys

import pytest

from snakepit.system import cgroups, cpus
from snakepit.system.cgroups import cpu_quota, memory_limit
from snakepit.system.cpus import usable_cpus

MIB = 2**20

V2 = "31 23 0:28 {group} /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "25 30 0:23 / /sys rw,nosuid - sysfs sysfs rw\n"
    "33 32 0:29 {group} /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
    "34 32 0:30 {group} /sys/fs/cgroup/cpuset ro,nosuid - cgroup cgroup rw,cpuset\n"
    "35 32 0:31 {group} /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n"
)


@pytest.fixture
def system(tmp_path):
    """Makes a /proc and a /sys/fs/cgroup; values are by path below the latter."""

    def make(group, mounts, **values):
        files = {"proc/self/cgroup": group, "proc/self/mountinfo": mounts}
        files |= {f"sys/fs/cgroup/{path}": f"{value}\n" for path, value in values.items()}
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("max 100000", None),
        ("100000 100000", 1.0),
        ("150000 100000", 1.5),
        ("5000 50000", 0.1),
        ("", None),
        ("150000", None),
        ("150000 0", None),
        ("nonsense 100000", None),
    ],
)
def test_quota_of_v2_in_a_container(system, text, quota):
    assert cpu_quota(system("0::/\n", V2.format(group="/"), **{"cpu.max": text})) == quota


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [
        ("-1", "100000", None),
        ("250000", "100000", 2.5),
        ("20000", "50000", 0.4),
        ("100000", "0", None),
        ("x", "1", None),
    ],
)
def test_quota_of_v1(system, quota, period, expected):
    files = {"cpu,cpuacct/cpu.cfs_quota_us": quota, "cpu,cpuacct/cpu.cfs_period_us": period}
    assert cpu_quota(system("4:cpu,cpuacct:/\n2:memory:/\n", V1.format(group="/"), **files)) == expected


@pytest.mark.parametrize(
    ("text", "limit"), [("max", None), (str(512 * MIB), 512 * MIB), ("0", 0), ("", None), ("much", None)]
)
def test_memory_of_v2(system, text, limit):
    assert memory_limit(system("0::/\n", V2.format(group="/"), **{"memory.max": text})) == limit


@pytest.mark.parametrize(
    ("text", "limit"), [("9223372036854771712", None), (str(512 * MIB), 512 * MIB), ("-1", None), ("", None)]
)
def test_memory_of_v1(system, text, limit):
    files = {"memory/memory.limit_in_bytes": text}
    assert memory_limit(system("4:cpu,cpuacct:/\n2:memory:/\n", V1.format(group="/"), **files)) == limit


def test_the_smallest_limit_on_the_way_up_counts(system):
    root = system(
        "0::/apps.slice/shop.slice/web.service\n",
        V2.format(group="/"),
        **{
            "apps.slice/cpu.max": "300000 100000",
            "apps.slice/memory.max": str(100 * MIB),
            "apps.slice/shop.slice/cpu.max": "200000 100000",
            "apps.slice/shop.slice/memory.max": "max",
            "apps.slice/shop.slice/web.service/cpu.max": "max 100000",
            "apps.slice/shop.slice/web.service/memory.max": str(200 * MIB),
            "apps.slice/other.service/cpu.max": "1000 100000",
        },
    )
    assert cpu_quota(root) == 2.0
    assert memory_limit(root) == 100 * MIB


def test_a_container_of_v1_that_sees_its_path_in_the_system_outside(system):
    root = system(
        "4:cpu,cpuacct:/docker/4f1b\n2:memory:/docker/4f1b\n0::/system.slice/docker.service\n",
        V1.format(group="/docker/4f1b"),
        **{
            "cpu,cpuacct/cpu.cfs_quota_us": "150000",
            "cpu,cpuacct/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": str(256 * MIB),
        },
    )
    assert cpu_quota(root) == 1.5
    assert memory_limit(root) == 256 * MIB


@pytest.mark.parametrize(("group", "mounted"), [("/../other", "/"), ("/elsewhere", "/docker/4f1b")])
def test_a_path_that_is_not_below_what_is_mounted(system, group, mounted):
    assert cpu_quota(system(f"0::{group}\n", V2.format(group=mounted), **{"cpu.max": "70000 100000"})) == 0.7


def test_a_group_below_the_one_that_is_mounted(system):
    files = {"worker/cpu.max": "50000 100000", "cpu.max": "100000 100000"}
    assert cpu_quota(system("0::/docker/4f1b/worker\n", V2.format(group="/docker/4f1b"), **files)) == 0.5


def test_both_versions_at_once(system):
    mounts = V1.format(group="/") + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    files = {"cpu,cpuacct/web/cpu.cfs_quota_us": "100000", "cpu,cpuacct/web/cpu.cfs_period_us": "100000"}
    assert cpu_quota(system("4:cpu,cpuacct:/web\n0::/\n", mounts, **files)) == 1.0


def test_a_mount_point_with_a_space(system):
    mounts = "31 23 0:28 / /sys/fs/cgroup/of\\040mine rw - cgroup2 cgroup2 rw\n"
    assert cpu_quota(system("0::/\n", mounts, **{"of mine/cpu.max": "100000 100000"})) == 1.0


def test_other_controllers_of_v1_do_not_matter(system):
    mounts = "34 32 0:30 / /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n"
    files = {"cpuset/cpu.cfs_quota_us": "1", "cpuset/cpu.cfs_period_us": "1"}
    assert cpu_quota(system("3:cpuset:/\n9:name=systemd:/\n", mounts, **files)) is None


def test_a_system_without_control_groups(tmp_path):
    assert cpu_quota(tmp_path) is None
    assert memory_limit(tmp_path) is None


@pytest.mark.parametrize(
    ("group", "mounts"), [("nonsense\n", V2), ("0::/\n", "nonsense\n"), ("0::/\n", "1 2 3 4 5 - cgroup2\n"), ("", "")]
)
def test_files_that_are_not_as_they_should_be(system, group, mounts):
    assert cpu_quota(system(group, mounts)) is None


def test_this_system():
    assert cpu_quota() is None or cpu_quota() > 0
    assert memory_limit() is None or memory_limit() > MIB


# -- the number of workers that follows ------------------------------------------------------------------------------


@pytest.fixture
def cpu_mask(monkeypatch):
    """Makes the affinity mask have so many CPUs."""
    monkeypatch.delenv("PYTHON_CPU_COUNT", raising=False)
    return lambda count: monkeypatch.setattr(os, "process_cpu_count", lambda: count)


@pytest.mark.parametrize(
    ("mask", "quota", "count", "source"),
    [
        (64, "100000 100000", 1, "the CPU quota here is 1"),
        (64, "150000 100000", 2, "the CPU quota here is 1.5"),
        (64, "1000 100000", 1, "the CPU quota here is 0.01"),
        (2, "200000 100000", 2, "one for each usable CPU"),
        (2, "800000 100000", 2, "one for each usable CPU"),
        (3, "max 100000", 3, "one for each usable CPU"),
        (None, "max 100000", 1, "one for each usable CPU"),
    ],
)
def test_usable_cpus(system, cpu_mask, mask, quota, count, source):
    cpu_mask(mask)
    usable = usable_cpus(system("0::/\n", V2.format(group="/"), **{"cpu.max": quota}))
    assert (usable.count, usable.source) == (count, source)


def test_what_python_was_told_comes_before_the_quota(system, cpu_mask, monkeypatch):
    root = system("0::/\n", V2.format(group="/"), **{"cpu.max": "100000 100000"})
    cpu_mask(6)
    monkeypatch.setenv("PYTHON_CPU_COUNT", "6")
    assert usable_cpus(root) == cpus.Cpus(6, "from PYTHON_CPU_COUNT")
    monkeypatch.setenv("PYTHON_CPU_COUNT", "default")
    assert usable_cpus(root).count == 1
    monkeypatch.setitem(sys._xoptions, "cpu_count", "6")
    assert usable_cpus(root) == cpus.Cpus(6, "from -X cpu_count")


def test_the_root_is_the_systems():
    assert str(cgroups.ROOT) == os.sep
