"""Conversations: opened once for a contact and channel, moved from status to status, listed by their last activity."""
