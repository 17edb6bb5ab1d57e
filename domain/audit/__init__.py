"""The audit log: entries written with each change, read by those who may, kept for 90 days."""
