"""What crosses between the main interpreter and a worker, and what carries it."""
