"""The code that runs inside a worker: the app, and the code that calls it."""
