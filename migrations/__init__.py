"""The history of the tables, forward and back."""
