"""What runs inside a worker: the app, and what calls it."""
