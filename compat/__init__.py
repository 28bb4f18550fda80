"""The compatibility suite: real packages in parallel interpreters. `make compat` runs it; see `compat.__main__`."""
