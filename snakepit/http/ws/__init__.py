"""WebSocket: handshake, frames, compression."""
