"""What a developer is shown of an exception that has left the app."""
