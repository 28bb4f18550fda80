"""HTTP/1.1: parsers, and a writer."""
