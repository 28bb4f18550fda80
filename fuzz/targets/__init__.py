"""The targets of the fuzzer: each module here is one, and is found by its name."""
