"""C extensions in interpreters: which may be copied, and the messages about those that refuse."""
