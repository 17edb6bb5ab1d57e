"""A person's second factor: the codes of an authenticator app, and backup codes for when it is lost."""
