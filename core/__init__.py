"""Floor 0: what every other floor stands on. Knows nothing of the product's nouns."""
