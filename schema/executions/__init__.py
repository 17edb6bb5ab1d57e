"""Executions of workflows: what is shown of them, what goes in."""
