"""What a server tells of itself: its health, and its metrics."""
