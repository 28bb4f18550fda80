"""Bytes to events and back. Pure: no I/O, no clock, no knowledge of workers."""
