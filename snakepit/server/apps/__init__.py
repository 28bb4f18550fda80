"""The apps of a server, each with its options, its queue of requests, its workers and its pages."""
