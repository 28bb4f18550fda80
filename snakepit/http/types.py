"""Types for parts of HTTP that all layers above share."""

from typing import Any

type Headers = list[tuple[bytes, bytes]]
type Address = tuple[str, int] | None
"""Host and port; None: a Unix socket, or one that is gone."""

type Tls = tuple[dict[str, Any], dict[str, str]] | None
"""For a connection over TLS: the extension of ASGI's scope, and the variables for WSGI's environ; None: it has none."""

type Endpoints = tuple[Address, Address, str, str | None, Tls]
"""For a request: the client's address, the server's, the scheme, the path under which a proxy publishes the app, as it
reports (None: it reports none), and what is known of TLS, on the connection to the client or to the proxy."""

type AppFile = str | tuple[int | str, int, int, int, int]
"""A file that an app sends: its path. Or a part of a file that the app has open: its descriptor, in the same process,
or its path; the device and the inode, by which the main interpreter knows it again; and as positions the first byte,
and the one after the last."""
