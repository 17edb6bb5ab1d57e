"""Floor 3: GraphQL nouns."""
