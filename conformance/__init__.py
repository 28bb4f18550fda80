"""The conformance suite: what HTTP demands of a server that reads requests, tried over sockets."""
