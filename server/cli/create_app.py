"""`replyhq create-app`."""

from typing import Annotated

import typer

from core.database import transaction
from core.errors import Invalid
from domain import apps
from models.team import Membership
from server.cli_support import run

SECRECY = "12 to 128 characters. Asked for when not given; others can see what stands on the command line."
OPTIONS = {"appName": "--name", "email": "--email", "name": "--owner-name", "password": "--password"}


def create_app(
    *,
    name: Annotated[str, typer.Option(help="Name of the app.")],
    email: Annotated[str, typer.Option(help="Where its owner signs in with.")],
    owner_name: Annotated[str, typer.Option(help="How its owner is called.")],
    password: Annotated[
        str,
        typer.Option(
            envvar="REPLYHQ_PASSWORD",
            prompt="Password of the owner",
            hide_input=True,
            confirmation_prompt=True,
            help=SECRECY,
        ),
    ],
) -> None:
    """Create an app and its owner."""
    member = run(_create(name, email, owner_name, password))
    typer.echo(f"App      {member.app_id}")
    typer.echo(f"Sign-in  {email.strip().lower()}, with the password that you gave")


async def _create(name: str, email: str, owner_name: str, password: str) -> Membership:
    try:
        async with transaction() as session:
            return await apps.create(session, name=name, email=email, password=password, owner_name=owner_name)
    except Invalid as error:
        raise Invalid(f"{OPTIONS[error.field or '']}: {error.message}") from error
