"""Makes what stands in this folder importable in all tests: see waiting.py."""
