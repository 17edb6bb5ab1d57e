"""Broadcasts: a message to many, from the draft to the last receipt.

Before: drafts, options, targets, ways (its channels), audience (who gets it), starting (now, later, again).
On the way: expansion (a row for each recipient), turns, chunks (under a lease), batches, deciding (what becomes of
each), contents (what each reads), results, variants, redoing (tried again), control (pause, resume, cancel), trial.
After: receipts, rollups, progress, analytics, recipients, exporting, explaining, recounting. queries: one or all.
"""
