"""Segments that workflows wait for: watched from when the first one is ACTIVE until the last one is not.

Who is in one is written down: first a baseline, which lets nobody in, then by slices about once a minute, and at once
when something happens to a contact.
"""
