"""Envelopes between the main interpreter and a worker, and the channels that carry them."""
