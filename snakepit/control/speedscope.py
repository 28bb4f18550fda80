"""Writes profiles in the format of speedscope (https://www.speedscope.app/file-format-schema.json)."""

from collections.abc import Iterable
from typing import Any

from snakepit.control.sampled import Frame, SampledThread

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def speedscope(threads: Iterable[SampledThread], name: str, exporter: str) -> dict[str, Any]:
    """Return one profile for each thread, sampled, with weights in seconds."""
    frames: dict[Frame, int] = {}
    profiles: list[dict[str, Any]] = [
        {
            "type": "sampled",
            "name": thread.name,
            "unit": "seconds",
            "startValue": 0,
            "endValue": thread.seconds,
            "samples": [[frames.setdefault(frame, len(frames)) for frame in stack] for stack, _ in thread.samples],
            "weights": [seconds for _, seconds in thread.samples],
        }
        for thread in threads
    ]
    return {
        "$schema": SCHEMA,
        "name": name,
        "exporter": exporter,
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": frame.function, "file": frame.file, "line": frame.line} for frame in frames]},
        "profiles": profiles,
    }
