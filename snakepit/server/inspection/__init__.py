"""What a running server tells of the code that it runs: where it is, and what takes long."""
