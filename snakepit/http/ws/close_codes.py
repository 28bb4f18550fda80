"""The close codes of WebSockets that the server itself uses (RFC 6455 section 7.4, and IANA's registry)."""

NORMAL = 1000
ABNORMAL = 1006
"""Never sent: means that a connection ended without a close frame."""
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
