"""How the commands find a running server and talk to it: status, reload, scale, stop, upgrade.

The server's side is snakepit.server.operate.control_socket. Nothing here imports the server, so that a command starts
quickly.
"""
