"""Floor 5: composition."""
