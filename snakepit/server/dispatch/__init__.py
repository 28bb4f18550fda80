"""Gives requests to workers: the queue, and who gets the next one."""
