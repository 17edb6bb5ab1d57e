"""What webhooks are told: which facts, in which words, kept with the fact itself."""
