"""The worker of an ASGI app."""
