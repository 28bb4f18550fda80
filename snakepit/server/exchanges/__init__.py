"""Requests and their responses, between a client and a worker."""
