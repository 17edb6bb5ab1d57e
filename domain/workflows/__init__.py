"""Workflows: definitions read and checked, published as versions, found by what triggers them, tried out dry."""
