"""Measurements of Snakepit. `make bench` runs them; see docs/benchmarks.md."""
