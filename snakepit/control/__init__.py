"""Commands for a running server (status, reload, scale, stop, upgrade): how they find it and talk to it.

The server's side is snakepit.server.operate.control_socket. Nothing here imports the server, so that a command starts
quickly.
"""
