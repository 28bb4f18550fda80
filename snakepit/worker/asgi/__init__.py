"""Runs an ASGI app: an event loop, and a task for each exchange."""
