"""Floor 2: the rules, called by resolvers and by jobs. They take the session, filter by app, and never commit."""
