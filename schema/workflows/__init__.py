"""Workflows: what goes in, what comes out; the parts of nodes and triggers are made from their declarations."""
