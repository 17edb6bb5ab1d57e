"""Messages and private notes: written once, received, read, edited with a trace, deleted."""
