"""Lazy imports (PEP 810, Python 3.15): whose imports are lazy in workers, and the code that makes them so."""
