"""C extensions in interpreters of their own: which may be copied, and what is said of the others."""
