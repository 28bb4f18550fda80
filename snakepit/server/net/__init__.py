"""Sockets, and the clients at their other ends."""
