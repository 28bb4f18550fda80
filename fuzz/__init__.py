"""Fuzzing: bytes that nobody would write, for all code that reads what comes from outside. See CONTRIBUTING.md."""
