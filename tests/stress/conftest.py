"""Stress tests run the same server as the end-to-end tests, by the same means."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "e2e"))
