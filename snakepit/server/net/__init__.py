"""Sockets: listening, and speaking HTTP and WebSocket to clients."""
