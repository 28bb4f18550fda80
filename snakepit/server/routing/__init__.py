"""Which destination answers a request."""
