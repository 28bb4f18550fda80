"""Runs a WSGI app: threads."""
