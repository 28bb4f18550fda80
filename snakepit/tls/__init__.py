"""TLS without sockets: what a ClientHello asks for, certificates, and which of them a client gets."""
