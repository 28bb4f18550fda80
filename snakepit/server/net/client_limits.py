"""How much time and how many bytes a client of HTTP/1 gets, where no option says it."""

LAST_REQUEST_SECONDS = 0.1
"""For the request of a connection that is accepted while the server stops."""

STALLED_SECONDS = 0.5
"""To go on with a request that the client has begun to send, when the server stops."""

LAST_HANDSHAKE_SECONDS = 1.0
"""To complete a TLS handshake that the client has begun, when the server stops."""

LINGER_SECONDS, LAST_LINGER_SECONDS = 2.0, 0.25
"""To read an answer to a request that the client has not sent completely, before the socket is closed (RFC 9112 section
9.6); and when the server stops."""

BODY_SECONDS = 20.0
"""Over which the rate of a request's body is measured, as far as it is its client's turn."""

LINGERING = 64
"""Connections that are refused unasked and get time to read why, at once: they have descriptors that are scarce."""

RETRY_SECONDS = 1
"""That such a client is told to wait before it connects again."""

DISCARDED_BYTES = 1024 * 1024
"""Of a request's body that are read and thrown away after the app has answered without reading them, so that the
connection can be used again. Beyond that, a new connection is cheaper for both sides."""
