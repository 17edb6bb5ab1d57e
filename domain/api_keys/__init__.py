"""API keys: by which programs of a team sign in."""
