"""Broadcasts: a message to many, from the draft to the last receipt.

drafts: made, changed, copied, deleted. queries: read. audience: who gets it. control: send, schedule, pause, cancel.
expansion: a row for each recipient. chunks: batches sent under a lease. receipts: what devices report.
progress: the counts. trial: a test to a few.
"""
