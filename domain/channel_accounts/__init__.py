"""Accounts of an app at providers. control: set and remove. providers: what each asks for. standing: what there is."""
