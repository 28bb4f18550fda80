"""Finding and ending what hangs."""
