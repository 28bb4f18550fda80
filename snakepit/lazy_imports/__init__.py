"""Imports at first use (PEP 810, Python 3.15): which libraries' wait until then, and how."""
