"""Types for parts of HTTP that all layers above share."""

type Headers = list[tuple[bytes, bytes]]
type Address = tuple[str, int] | None
"""Host and port; None: a Unix socket, or one that is gone."""

type Endpoints = tuple[Address, Address, str, str | None]
"""For a request: the client's address, the server's, the scheme, and the path under which a proxy publishes the app, as
it reports; None: it reports none."""
