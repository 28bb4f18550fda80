"""Workers, seen from the main interpreter."""
