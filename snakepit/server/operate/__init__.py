"""What operators do with a running server, and see of it."""
