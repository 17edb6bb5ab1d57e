"""Broadcasts: `read`, `write`, `live`."""
