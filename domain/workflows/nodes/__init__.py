"""What a workflow can do: a file for each kind of node, and the table of them all."""
