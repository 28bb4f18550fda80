"""Answers that need no worker."""
