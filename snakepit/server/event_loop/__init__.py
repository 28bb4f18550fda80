"""The event loop of the main interpreter, and timers, deadlines and background tasks on it."""
