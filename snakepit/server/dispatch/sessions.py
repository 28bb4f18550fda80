"""Which worker a client's sessions are in, for apps whose frameworks keep them in a worker's memory.

A session is known by nothing that all of these frameworks have in common: by a number in the query, by a header field,
or within a body. So what belongs to sessions goes by the client's address, as Engine.IO's documentation has a proxy do
it: all of a client is in one worker, which the client's first request found as the least loaded.

What does not belong to sessions goes to whichever worker has least to do. Where a framework does not let one see that,
everything belongs to them.
"""

import re
from collections.abc import Callable, Iterable

from snakepit.http.events import RequestHead

MOST_CLIENTS = 65536
"""Clients whose worker is remembered, some 200 bytes each; with more, the one is forgotten that came first."""

_ENGINE_IO = re.compile(rb"[?&]EIO=\d")  # the protocol's version, in each request (Engine.IO protocol, "Parameters")
_MCP_BY_SSE = re.compile(rb"[?&]session_?[iI]d=")  # what its messages are posted to, as its SDKs name it


def _is_engine_io(head: RequestHead) -> bool:
    return _ENGINE_IO.search(head.target) is not None


def _is_mcp(head: RequestHead) -> bool:
    """Whether it is MCP's: its requests take event streams, and those of a session name it (MCP, "Transports")."""
    for name, value in head.headers:
        if name == b"mcp-session-id" or (name == b"accept" and b"text/event-stream" in value):
            return True
    return _MCP_BY_SSE.search(head.target) is not None


BELONGS: dict[str, Callable[[RequestHead], bool]] = {
    "nicegui": lambda head: True,  # a page, and the WebSocket that it opens
    "gradio": lambda head: True,  # what asks says in its body who it is
    "socketio": _is_engine_io,
    "mcp": _is_mcp,
}
"""By framework, as `snakepit.worker.notes` names it: whether a request belongs to a session."""


class Sessions[W]:
    """The worker (W) of each client.

    Args:
        frameworks: those that the app uses.
    """

    def __init__(self, frameworks: Iterable[str], most: int = MOST_CLIENTS) -> None:
        self._belongs = [BELONGS[framework] for framework in frameworks]
        self._most = most
        self._workers: dict[str, W] = {}  # by address

    def belongs(self, head: RequestHead) -> bool:
        """Whether a request belongs to a session."""
        return any(belongs(head) for belongs in self._belongs)

    def worker_of(self, address: str) -> W | None:
        """Where a client's sessions are; None: it has none yet."""
        return self._workers.get(address)

    def begin(self, address: str, worker: W) -> None:
        """A client has its sessions in this worker from now on."""
        self._workers[address] = worker
        if len(self._workers) > self._most:
            del self._workers[next(iter(self._workers))]

    def forget(self, worker: W) -> None:
        """A worker gets nothing more: its clients find another one."""
        self._workers = {address: its for address, its in self._workers.items() if its is not worker}
