"""The command `replyhq`. Every command is a file of its own, and one line in COMMANDS.

The file has a function of its name; or a Typer of its name, when it is a group of commands.
"""

import sys
from importlib import import_module
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from core.embedded import SetUpError

COMMANDS = (
    "demo",
    "serve",
    "worker",
    "clock",
    "migrate",
    "create-app",
    "import-contacts",
    "devices",
    "providers",
    "schema",
    "permissions",
    "webhook-events",
    "keys",
    "recount",
)


class Commands(TyperGroup):
    """Imports a command when it is asked for: `replyhq demo` need not wait for what `replyhq schema` imports."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """All names, in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        found = getattr(import_module(f"{__name__}.{name}"), name)
        if isinstance(found, typer.Typer):
            group = typer.main.get_command(found)
            group.name = cmd_name
            return group
        single = typer.Typer(add_completion=False)
        single.command(cmd_name)(found)
        return typer.main.get_command(single)


class App(typer.Typer):
    """A Typer app that tells a SetUpError in a sentence, without a traceback."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().__call__(*args, **kwargs)
        except SetUpError as error:
            Console(stderr=True).print(f"Error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
            sys.exit(1)


app = App(name="replyhq", cls=Commands, no_args_is_help=True, pretty_exceptions_show_locals=False)


@app.callback()
def main() -> None:
    """ReplyHQ: a GraphQL API for talking to the users of your app."""
