"""A stand-in for what collects traces: it takes spans (OTLP over HTTP, protobuf) and Sentry's envelopes."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from waiting import wait_until


@dataclass(frozen=True)
class Span:
    """A span as it came."""

    name: str
    kind: int  # 1: internal, 2: server, 3: client
    trace: str
    id: str
    parent: str  # empty: it has none
    begin: int  # ns since 1970
    end: int
    status: int  # 2: error
    attributes: dict[str, Any]
    resource: dict[str, Any]
    state: str

    @property
    def service(self) -> str:
        return self.resource["service.name"]


@dataclass
class Collector:
    """What has come. `answer` is the status with which it answers; 0: it hangs until it is closed."""

    port: int = 0
    answer: int = 200
    spans: list[Span] = field(default_factory=list)
    envelopes: list[dict[str, Any]] = field(default_factory=list)  # the items of Sentry's envelopes, by their types
    requests: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self.port}/1"

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def wait_spans(self, name: str, count: int) -> list[Span]:
        """Wait until so many spans with this name have come."""
        wait_until(lambda: len(self.named(name)) >= count, f"{count} spans {name}, not {len(self.named(name))}")
        return self.named(name)

    def children_of(self, span: Span) -> dict[str, Span]:
        return {each.name: each for each in self.spans if each.parent == span.id}

    def items(self, kind: str) -> list[dict[str, Any]]:
        return [content for found in self.envelopes for each, content in found.items() if each == kind]

    def take_spans(self, data: bytes) -> None:
        for of_resource in ExportTraceServiceRequest.FromString(data).resource_spans:
            resource = _attributes(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self.spans += [
                    Span(
                        span.name,
                        span.kind,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        span.status.code,
                        _attributes(span.attributes),
                        resource,
                        span.trace_state,
                    )
                    for span in of_scope.spans
                ]

    def take_envelope(self, data: bytes) -> None:
        """Read a header, and items of a header and a body each (Sentry, "Envelopes")."""
        _, _, rest = data.partition(b"\n")
        found = {}
        while rest:
            line, _, rest = rest.partition(b"\n")
            header = json.loads(line)
            size = header.get("length", rest.find(b"\n"))
            found[header["type"]] = json.loads(rest[:size])
            rest = rest[size:].removeprefix(b"\n")
        self.envelopes.append(found)


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    """Run a collector on loopback."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                data = gzip.decompress(data)
            collector.requests += 1
            if not collector.answer:
                collector.closing.wait()
                self.close_connection = True
                return
            if collector.answer == 200:
                (collector.take_spans if self.path == "/v1/traces" else collector.take_envelope)(data)
            self.send_response(collector.answer)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        collector.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield collector
        finally:
            collector.closing.set()
            server.shutdown()
            thread.join()
