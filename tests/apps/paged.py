"""An app whose pages are in the memory of a worker, as the server sees it: a module named as that of the framework is
imported. The framework itself is tried by `make apps`."""

import sys
from types import ModuleType

from behaviors import app

__all__ = ["app"]

sys.modules["nicegui"] = ModuleType("nicegui")
