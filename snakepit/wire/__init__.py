"""What crosses between the main interpreter and a worker."""
