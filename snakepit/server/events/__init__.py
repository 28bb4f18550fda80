"""What happens in a server, for people: starts, reloads, replacements, refusals, failures."""
