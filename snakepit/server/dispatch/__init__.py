"""Which worker gets a request, and when."""
