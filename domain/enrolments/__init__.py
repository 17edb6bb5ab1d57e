"""Many contacts let into a workflow: by hand, by the API, or by the clock; slice by slice."""
