"""Loads C extensions that refuse interpreters of their own, from private copies."""
