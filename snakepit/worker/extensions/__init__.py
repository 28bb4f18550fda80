"""Private copies of C extensions."""
