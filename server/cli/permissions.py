"""`replyhq permissions`."""

import typer

from server.permissions_page import page


def permissions() -> None:
    """Print who may do what, as the page docs/permissions.md."""
    typer.echo(page(), nl=False)
