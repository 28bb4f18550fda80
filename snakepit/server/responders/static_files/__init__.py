"""Files that the main interpreter sends by itself: `--static-path` and `[[static]]`."""
