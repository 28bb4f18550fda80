"""Options: each is declared once, and read from the command line, the environment and files."""
