"""Broadcasts: `types` that are read, `inputs` and payloads of their mutations."""
