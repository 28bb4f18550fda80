"""The limits of the control groups that this process is in (cgroups(7)): what a container, or systemd, grants it.

Both versions are read: v2's one tree, and v1's tree for each controller. Groups nest, and each limits what is below it,
so the smallest limit on the way up counts. In a container the way up ends at the group that mountinfo shows as mounted.
A file that can't be read means no limit, as on systems without control groups.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def cpu_quota(root: Path = ROOT) -> float | None:
    """Return how many CPUs' time the process may use, as in 1.5 (v2: cpu.max; v1: cpu.cfs_quota_us); None: no quota.

    `root`: the folder in which /proc and /sys/fs/cgroup are.
    """
    return _smallest("cpu", root, _quota_v1, _quota_v2)


def memory_limit(root: Path = ROOT) -> int | None:
    """Return the bytes of memory that the process and the others in its group may use; None: there is no limit.

    v2: memory.max; v1: memory.limit_in_bytes. `root` as for `cpu_quota`.
    """
    return _smallest("memory", root, _memory_v1, _memory_v2)


def thread_limits(root: Path = ROOT) -> list[tuple[int, int | None]]:
    """Return how many processes and threads each limited group may have, and has (pids.max and pids.current).

    From the process's own group up. `root` as for `cpu_quota`.
    """
    found = [(_number(folder / "pids.max"), _number(folder / "pids.current")) for _, folder in _groups("pids", root)]
    return [(most, used) for most, used in found if most is not None]


def _smallest[T: (int, float)](
    controller: str, root: Path, v1: Callable[[Path], T | None], v2: Callable[[Path], T | None]
) -> T | None:
    found = [(v2 if version == 2 else v1)(folder) for version, folder in _groups(controller, root)]
    return min((limit for limit in found if limit is not None), default=None)


def _quota_v1(group: Path) -> float | None:
    quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
    return quota / period if quota is not None and period and quota > 0 else None  # -1: none


def _quota_v2(group: Path) -> float | None:
    quota, _, period = _read(group / "cpu.max").partition(" ")  # as in "150000 100000", or "max 100000"
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


_UNLIMITED = 2**60
"""Bytes; a larger value means no limit: v1 then shows the largest possible number of pages."""


def _memory_v1(group: Path) -> int | None:
    limit = _number(group / "memory.limit_in_bytes")
    return limit if limit is not None and 0 < limit < _UNLIMITED else None


def _memory_v2(group: Path) -> int | None:
    return _number(group / "memory.max")  # "max": none


def _number(file: Path) -> int | None:
    try:
        return int(_read(file))
    except ValueError:
        return None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:  # the root group has no limits, and v2 has none where the controller is not enabled
        return ""


def _groups(controller: str, root: Path) -> list[tuple[int, Path]]:
    """Yield the version and the folder of each group that the process is in, from its own upwards."""
    try:
        return list(_way_up_of_all(controller, root))
    except (OSError, ValueError, IndexError):  # not Linux, or an unusual /proc
        return []


def _way_up_of_all(controller: str, root: Path) -> Iterator[tuple[int, Path]]:
    mounts = list(_mounts(controller, root))
    for line in _lines(root / "proc/self/cgroup"):  # as in "4:cpu,cpuacct:/docker/4f1b" (v1) or "0::/system.slice" (v2)
        number, controllers, path = line.split(":", 2)
        version = 2 if number == "0" and not controllers else 1
        if version == 1 and controller not in controllers.split(","):
            continue
        for of_version, mounted, point in mounts:
            if of_version == version:
                for folder in _way_up(mounted, path):
                    yield version, root / point.lstrip("/") / folder


def _way_up(mounted: str, path: str) -> Iterator[str]:
    """Yield the folders to read, below a mount point that shows the group `mounted`: the folder of `path` first."""
    group = PurePosixPath(path)
    inside = group.is_relative_to(mounted) and ".." not in group.parts
    # Otherwise the path begins at another root than the one that the process sees, as in a container without its own
    # namespace for groups: then the mounted group is its own.
    below = group.relative_to(mounted) if inside else PurePosixPath()
    yield from map(str, (below, *below.parents))


def _mounts(controller: str, root: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the mounted trees of groups (proc_pid_mountinfo(5)): version, the group that is mounted, and where."""
    for line in _lines(root / "proc/self/mountinfo"):
        mount, _, kind = line.partition(" - ")
        _, _, _, group, point, *_ = map(_unescaped, mount.split(" "))
        system, _, options = kind.split(" ", 2)
        if system == "cgroup2":
            yield 2, group, point
        elif system == "cgroup" and controller in options.split(","):
            yield 1, group, point


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)  # a space is \040
