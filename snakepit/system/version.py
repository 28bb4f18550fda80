"""The version of Snakepit."""

__version__ = "0.1.0"
