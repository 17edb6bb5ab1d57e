"""Floor 1: adapters to the outside, behind one protocol."""
