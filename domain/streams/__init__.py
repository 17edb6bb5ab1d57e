"""Event streams: facts in the order of their commits, numbered without gaps, for subscriptions that can be resumed."""
