"""The types of notifications: who may be told, and how they are told unless they say otherwise."""

from typing import NamedTuple

import sqlalchemy as sa
import sqlalchemy.orm

from domain.permissions import ROLE_PERMISSIONS, Permission
from models.apps import App
from models.notifications import EmailMode, NotificationType


class Kind(NamedTuple):
    """A type of notifications.

    Attributes:
        needs: the right without which nobody is told.
        email, in_app: how somebody is told who has not said otherwise; see `BY_APP` too.
    """

    needs: Permission
    email: EmailMode
    in_app: bool = True

    @property
    def roles(self) -> list[str]:
        """Who has the right."""
        return [role.value for role, rights in ROLE_PERMISSIONS.items() if self.needs in rights]


KINDS: dict[NotificationType, Kind] = {
    NotificationType.NEW_MESSAGE: Kind(Permission.VIEW_CONVERSATIONS, EmailMode.OFF),
    NotificationType.UNASSIGNED_MESSAGE: Kind(Permission.VIEW_CONVERSATIONS, EmailMode.OFF),
    NotificationType.CONVERSATION_ASSIGNED: Kind(Permission.VIEW_CONVERSATIONS, EmailMode.AT_ONCE),
    NotificationType.MENTION: Kind(Permission.VIEW_CONVERSATIONS, EmailMode.AT_ONCE),
    NotificationType.BROADCAST_SENT: Kind(Permission.VIEW_BROADCASTS, EmailMode.DIGEST),
    NotificationType.BROADCAST_FAILED: Kind(Permission.VIEW_BROADCASTS, EmailMode.AT_ONCE),
    NotificationType.WORKFLOW_FAILED: Kind(Permission.VIEW_WORKFLOWS, EmailMode.DIGEST),
    NotificationType.WEBHOOK_DISABLED: Kind(Permission.MANAGE_SETTINGS, EmailMode.AT_ONCE),
}
BY_APP: dict[NotificationType, sa.orm.InstrumentedAttribute[bool]] = {
    NotificationType.NEW_MESSAGE: App.email_on_new_message,
    NotificationType.UNASSIGNED_MESSAGE: App.email_on_new_conversation,
}
"""The types that go by mail at once, or not at all, as the settings of the app say."""


def usual_email(type_: NotificationType, app: App) -> EmailMode:
    """How somebody who has not said otherwise is told by mail."""
    if type_ in BY_APP:
        return EmailMode.AT_ONCE if getattr(app, BY_APP[type_].key) else EmailMode.OFF
    return KINDS[type_].email


def usual_emails(type_: sa.ColumnElement[NotificationType]) -> sa.ColumnElement[str]:
    """The same in SQL, beside the row of the app."""
    by_app = [
        (type_ == one, sa.case((on, EmailMode.AT_ONCE.value), else_=EmailMode.OFF.value)) for one, on in BY_APP.items()
    ]
    return sa.case(*by_app, *((type_ == one, kind.email.value) for one, kind in KINDS.items()))
