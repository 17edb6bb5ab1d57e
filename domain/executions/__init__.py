"""Executions: contacts on their way through workflows. Rows are the queue; a worker may die at any moment.

signals → admitting → stepping (acting, calls) → advancing; waits, ending, control, tallies.
"""
