"""What runs in the main interpreter: sockets, connections, dispatch, workers' lives."""
