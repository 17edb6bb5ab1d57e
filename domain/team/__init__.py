"""The people of an app: who is in, who is invited, and who may change whom. See docs/decisions/0008-roles.md."""
