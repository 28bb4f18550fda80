"""The command line, made from the options."""
