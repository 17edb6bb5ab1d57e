"""What the three kinds of push share."""

KEY_FIELD = "replyhqKey"
"""Beside the app's own data: the key of the send, by which a device tells a repeated message and reports on it."""
