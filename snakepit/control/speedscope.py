"""Writes profiles in the format of speedscope (https://www.speedscope.app/file-format-schema.json)."""

from collections.abc import Iterable, Mapping
from typing import Any

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def speedscope(workers: Iterable[Mapping[str, Any]], name: str, exporter: str) -> dict[str, Any]:
    """Return one profile for each thread of each worker, sampled, with weights in seconds."""
    frames: dict[tuple[str, int, str], int] = {}
    profiles: list[dict[str, Any]] = []
    for worker in workers:
        threads: dict[str, list[tuple[list[int], float]]] = {}
        for thread, calls, seconds in worker["samples"]:
            stack = [frames.setdefault(tuple(worker["calls"][at]), len(frames)) for at in calls]
            threads.setdefault(thread, []).append((stack, seconds))
        for thread, samples in sorted(threads.items()):
            profiles.append(
                {
                    "type": "sampled",
                    "name": f"worker {worker['number']} of {worker['app']}, {thread}",
                    "unit": "seconds",
                    "startValue": 0,
                    "endValue": sum(seconds for _, seconds in samples),
                    "samples": [stack for stack, _ in samples],
                    "weights": [seconds for _, seconds in samples],
                }
            )
    return {
        "$schema": SCHEMA,
        "name": name,
        "exporter": exporter,
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": function, "file": file, "line": line} for file, line, function in frames]},
        "profiles": profiles,
    }
