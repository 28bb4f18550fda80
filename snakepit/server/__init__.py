"""The code that runs in the main interpreter: sockets, connections, dispatch, management of workers."""
