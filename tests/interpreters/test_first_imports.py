"""What the main interpreter imports before there is another one."""

import subprocess
import sys

FILLED = """\
import sys
import snakepit.wire.interpreters
import _ctypes
assert "_datetime" in sys.modules
assert _ctypes._SimpleCData.__subclasses__(), "the table of ctypes is left to the first workers"
assert "ctypes" not in sys.modules, "which takes memory"
"""


def test_tables_that_all_interpreters_share_are_filled_before_the_first():
    ended = subprocess.run([sys.executable, "-c", FILLED], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
