"""The command `replyhq`. Every command is a file of its own, and one line in each of the two lists below."""

import sys
from typing import Any

import typer
from rich.console import Console

from core.embedded import SetUpError
from server.cli.clock import clock
from server.cli.create_app import create_app
from server.cli.demo import demo
from server.cli.import_contacts import import_contacts
from server.cli.migrate import migrate
from server.cli.schema import schema
from server.cli.serve import serve
from server.cli.worker import worker


class App(typer.Typer):
    """A Typer app that tells a SetUpError in a sentence, without a traceback."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().__call__(*args, **kwargs)
        except SetUpError as error:
            Console(stderr=True).print(f"Error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
            sys.exit(1)


app = App(
    name="replyhq",
    help="ReplyHQ: a GraphQL API for talking to the users of your app.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command()(demo)
app.command()(serve)
app.command()(worker)
app.command()(clock)
app.command()(migrate)
app.command()(create_app)
app.command()(import_contacts)
app.command()(schema)
