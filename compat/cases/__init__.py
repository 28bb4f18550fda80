"""The cases, by subject. To add one, write a function with `@case(...)` where it fits; see `compat.registry`."""

from compat.cases import clients, compression, data, databases, formats, frameworks, security, text, tools
from compat.registry import CASES

__all__ = ["CASES", "clients", "compression", "data", "databases", "formats", "frameworks", "security", "text", "tools"]
