"""What every part of the server needs of its event loop."""
