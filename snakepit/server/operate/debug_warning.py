"""The warning that `--debug` shows the inside of apps to clients."""

import logging
import socket
from collections.abc import Iterable, Sequence

from snakepit.system.loopback import is_local


def warn_of_debug(log: logging.Logger, debug: Iterable[bool], sockets: Sequence[socket.socket]) -> None:
    """Warn if the option is on for any app: as of an error where others than this machine's users can connect."""
    if not any(debug):
        return
    log.warning(
        "--debug is on: whoever causes an exception sees the app's source code, and values of its variables. It is for "
        "development only"
    )
    open_to_others = [sock for sock in sockets if not is_local(sock)]
    if open_to_others:
        log.error(
            "DANGER: with --debug, other machines can read code and secrets of the app at %s. Leave --debug out, or "
            "listen on 127.0.0.1",
            ", ".join(_name(sock) for sock in open_to_others),
        )


def _name(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
