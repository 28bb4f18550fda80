"""Stacks of the threads and tasks of one interpreter, as another thread of that interpreter finds them."""
