"""Finds what hangs, and ends it."""
