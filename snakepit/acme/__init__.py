"""Automatic HTTPS: certificates from a CA that speaks ACME (RFC 8555), or from a local CA, obtained and renewed.

`steps`, `session`, `orders` and `renewal` are the protocol without sockets or a clock; `client` runs it, in a thread.
"""
