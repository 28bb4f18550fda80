"""HTTP and WebSocket as bytes and events: no I/O, no clock, and nothing of what crosses to workers."""
