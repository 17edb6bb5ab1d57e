"""`replyhq webhook-events`."""

import typer

from server.webhook_events_page import page


def webhook_events() -> None:
    """Print what webhooks are told, as the page docs/webhook-events.md."""
    typer.echo(page(), nl=False)
