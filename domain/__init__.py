"""Floor 2: the rules, called by resolvers and by jobs. They take the session, filter by app, and never commit.

Two kinds open a transaction themselves: what must not hold one while it hashes (`sign_ins`, `two_factors.control`), and
what answers many askings at once (the `Batcher`s of auth, api_keys, in_app_messages and receipts; the count of a page).
"""
