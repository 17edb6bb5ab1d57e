"""Changing a password, and resetting one that was forgotten."""

import strawberry

from schema.mutations import Payload
from schema.views import plain


@strawberry.type(
    description="What is answered to whoever asks for a reset: the same whether or not there is an account."
)
class RequestPasswordResetPayload(Payload):
    """Nothing."""


@strawberry.type(description="Nothing but errors: sign in with the new password.")
class ResetPasswordPayload(Payload):
    """Nothing."""


@strawberry.input(description="One's password and the one to be.")
class ChangePasswordInput:
    """Two passwords."""

    current_password: str = plain("Your password as it is.")
    new_password: str = plain("12 to 128 characters, not easily guessed.")


@strawberry.input(description="Whose password is forgotten.")
class RequestPasswordResetInput:
    """An account."""

    email: str = plain("The account's e-mail; that is where the link is sent.")


@strawberry.input(description="The proof that one reads the account's mails, and the password to be.")
class ResetPasswordInput:
    """A token and a password."""

    token: str = plain("What follows `#token=` in the link, which is good once, for an hour.")
    new_password: str = plain("12 to 128 characters, not easily guessed.")
