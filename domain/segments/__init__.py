"""Conditions on contacts: read, saved by name, compiled to SQL, and evaluated for one contact."""
