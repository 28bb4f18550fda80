"""What an operator does with a running server, and sees of it."""
