"""The GraphQL face: what stands between the wire and the resolvers."""
