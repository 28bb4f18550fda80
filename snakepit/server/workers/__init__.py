"""Workers as the main interpreter sees them, and what they run in."""
