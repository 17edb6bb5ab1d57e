"""The types of notifications: who may be told, and how they are told unless they say otherwise."""

from typing import NamedTuple

from domain.permissions import ROLE_PERMISSIONS, Permission
from models.notifications import EmailMode, NotificationType


class Kind(NamedTuple):
    """A type of notifications.

    Attributes:
        needs: the right without which nobody is told.
        email, in_app: how somebody is told who has not said otherwise.
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
