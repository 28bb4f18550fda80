"""The worker of a WSGI app."""
