"""HTTP and WebSocket as bytes and events: no I/O, no clock."""
