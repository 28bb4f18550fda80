"""Operation of a running server: signals, commands, reloads, reports."""
