"""Lines of the access log in other forms than the default one: what is known of a request, and the texts made of it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from snakepit.http.events import RequestHead
from snakepit.http.types import Address
from snakepit.system.json_lines import json_line, timestamp

_SERVED_BY = re.compile(r"worker (\d+)(?: of (.*))?", re.DOTALL)


@dataclass(slots=True)
class AnsweredRequest:
    """A request whose response has begun.

    Args:
        peer: the client's address, or None on a Unix socket.
        length: of the response's body in bytes; None: it is not known when the response begins.
        fields: the lines of the response's header fields, as far as the app made them.
        moment: when the response began, in seconds since 1970.
        seconds: from the end of the request's head until the response began.
        served_by: as `Exchange.served_by`.
        request_id: empty if requests have none.
    """

    peer: Address
    scheme: str
    head: RequestHead
    status: int
    length: int | None
    fields: bytes
    moment: float
    seconds: float
    served_by: str
    request_id: str = ""

    @property
    def client(self) -> str:
        """The client's name, as in the default line."""
        return f"{self.peer[0]}:{self.peer[1]}" if self.peer is not None else "local"

    @property
    def target(self) -> str:
        """What the client asked for."""
        return self.head.target.decode("latin-1")

    @property
    def worker(self) -> tuple[int | None, str]:
        """The number of the worker, if one answered, and the name of its app, if the server has several."""
        found = _SERVED_BY.fullmatch(self.served_by)
        return (int(found[1]), found[2] or "") if found is not None else (None, "")


type MakeLine = Callable[[AnsweredRequest], str]
"""Makes the line of a request, without its end."""


def request_as_json(request: AnsweredRequest) -> str:
    """Return a request as a JSON object; members that are not known are left out."""
    worker, app = request.worker
    path, asked, query = request.target.partition("?")
    fields: dict[str, Any] = {
        "time": timestamp(request.moment),
        "level": "INFO",
        "logger": "snakepit.access",
        "message": f"{request.head.method} {request.target} {request.status}",
        "client": request.client,
        "method": request.head.method,
        "path": path,
        **({"query": query} if asked else {}),
        "http_version": request.head.http_version,
        "status": request.status,
        "total_ms": round(request.seconds * 1000, 3),
    }
    if request.length is not None:
        fields["bytes"] = request.length
    if request.request_id:
        fields["request_id"] = request.request_id
    if worker is not None:
        fields["worker"] = worker
    if app:
        fields["app"] = app
    return json_line(fields)
