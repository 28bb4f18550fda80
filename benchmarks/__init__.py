"""Measurements of Snakepit: `make bench` beside its peers, `make bench-own` by itself."""
