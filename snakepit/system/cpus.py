"""The number of CPUs that this process may use, and where the number comes from."""

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from snakepit.system import cgroups


@dataclass(frozen=True, slots=True)
class Cpus:
    """A number of CPUs, and where it comes from, in words."""

    count: int
    source: str


def usable_cpus(root: Path = cgroups.ROOT) -> Cpus:
    """Return the CPUs of the affinity mask, or fewer if a container has a quota of their time, which is rounded up.

    `-X cpu_count` and PYTHON_CPU_COUNT take precedence. `root` as for `cgroups.cpu_quota`.
    """
    count = os.process_cpu_count() or 1
    if _is_set():
        return Cpus(count, "from -X cpu_count" if "cpu_count" in sys._xoptions else "from PYTHON_CPU_COUNT")
    quota = cgroups.cpu_quota(root)
    if quota is not None and quota < count:
        return Cpus(max(1, math.ceil(quota)), f"the CPU quota here is {quota:g}")
    return Cpus(count, "one for each usable CPU")


def _is_set() -> bool:
    text: object = "" if sys.flags.ignore_environment else os.environ.get("PYTHON_CPU_COUNT", "")
    return sys._xoptions.get("cpu_count", text) not in ("", "default")
