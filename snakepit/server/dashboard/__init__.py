"""The live page: what the server is at, and buttons to act on it, answered without a worker."""
