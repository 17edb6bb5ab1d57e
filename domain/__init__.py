"""Floor 2: the rules, called by resolvers and by jobs. They take the session, filter by app, and never commit.

Two kinds open a transaction themselves: what must not hold one while it hashes (`auth.sign_in`), and what answers many
askings at once (the `Batcher`s of auth, in_app_messages and receipts; the count of a page).
"""
