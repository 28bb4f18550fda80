"""Apps that are served, each with its options, its queue of requests, its workers and its pages."""
