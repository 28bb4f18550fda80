"""The operating system and the Python that this runs on."""
