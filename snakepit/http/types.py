"""The types of HTTP's parts that everything above has in common."""

type Headers = list[tuple[bytes, bytes]]
type Address = tuple[str, int] | None
"""Host and port; None: a Unix socket, or one that is gone."""

type Endpoints = tuple[Address, Address, str, str | None]
"""Of a request: the client's address, the server's, the scheme, and the path under which a proxy says that it publishes
the app; None: it does not say."""
