"""Finds hanging code of the app, and ends it."""
