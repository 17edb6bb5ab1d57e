"""`replyhq schema`."""

import typer

from server.graphql.schema import schema as built


def schema() -> None:
    """Print the GraphQL schema (SDL)."""
    typer.echo(built().as_str())
