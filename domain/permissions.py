"""Who may do what: one table. `make schema` prints it to docs/permissions.md; docs/decisions/0008-roles.md says why."""

from enum import StrEnum

from models.team import Role


class Permission(StrEnum):
    """A right. Every root field declares the one it needs."""

    VIEW_CONTACTS = "VIEW_CONTACTS"
    EDIT_CONTACTS = "EDIT_CONTACTS"
    DELETE_CONTACTS = "DELETE_CONTACTS"
    MANAGE_DEVICES = "MANAGE_DEVICES"
    TRACK_EVENTS = "TRACK_EVENTS"
    VIEW_BROADCASTS = "VIEW_BROADCASTS"
    CREATE_BROADCASTS = "CREATE_BROADCASTS"
    EDIT_BROADCASTS = "EDIT_BROADCASTS"
    DELETE_BROADCASTS = "DELETE_BROADCASTS"
    SEND_BROADCASTS = "SEND_BROADCASTS"
    VIEW_CONVERSATIONS = "VIEW_CONVERSATIONS"
    EDIT_CONVERSATIONS = "EDIT_CONVERSATIONS"
    EDIT_LABELS = "EDIT_LABELS"
    EDIT_ASSIGNMENT = "EDIT_ASSIGNMENT"
    VIEW_WORKFLOWS = "VIEW_WORKFLOWS"
    EDIT_WORKFLOWS = "EDIT_WORKFLOWS"
    VIEW_SETTINGS = "VIEW_SETTINGS"
    RUN_WORKFLOWS = "RUN_WORKFLOWS"
    MANAGE_SETTINGS = "MANAGE_SETTINGS"
    VIEW_WEBHOOKS = "VIEW_WEBHOOKS"
    MANAGE_WEBHOOKS = "MANAGE_WEBHOOKS"
    VIEW_TEAM = "VIEW_TEAM"
    MANAGE_TEAM = "MANAGE_TEAM"
    MANAGE_API_KEYS = "MANAGE_API_KEYS"
    VIEW_AUDIT_LOG = "VIEW_AUDIT_LOG"
    OWN_ACCOUNT = "OWN_ACCOUNT"
    OWN_MEMBERSHIP = "OWN_MEMBERSHIP"
    RECEIVE_MESSAGES = "RECEIVE_MESSAGES"
    CONVERSE = "CONVERSE"
    UPLOAD_ATTACHMENTS = "UPLOAD_ATTACHMENTS"


_AGENT = {
    Permission.VIEW_CONTACTS,
    Permission.VIEW_BROADCASTS,
    Permission.VIEW_CONVERSATIONS,
    Permission.EDIT_CONVERSATIONS,
    Permission.VIEW_WORKFLOWS,
    Permission.VIEW_SETTINGS,
    Permission.VIEW_TEAM,
    Permission.OWN_ACCOUNT,
    Permission.OWN_MEMBERSHIP,
    Permission.UPLOAD_ATTACHMENTS,
}
_ADMIN = _AGENT | {
    Permission.EDIT_CONTACTS,
    Permission.DELETE_CONTACTS,
    Permission.MANAGE_DEVICES,
    Permission.TRACK_EVENTS,
    Permission.CREATE_BROADCASTS,
    Permission.EDIT_BROADCASTS,
    Permission.SEND_BROADCASTS,
    Permission.EDIT_LABELS,
    Permission.EDIT_ASSIGNMENT,
    Permission.EDIT_WORKFLOWS,
    Permission.RUN_WORKFLOWS,
    Permission.VIEW_WEBHOOKS,
    Permission.VIEW_AUDIT_LOG,
}
_OWNER = _ADMIN | {
    Permission.DELETE_BROADCASTS,
    Permission.MANAGE_SETTINGS,
    Permission.MANAGE_WEBHOOKS,
    Permission.MANAGE_TEAM,
    Permission.MANAGE_API_KEYS,
}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.AGENT: frozenset(_AGENT),
    Role.ADMIN: frozenset(_ADMIN),
    Role.OWNER: frozenset(_OWNER),
}
DEVICE_PERMISSIONS = frozenset(
    {Permission.RECEIVE_MESSAGES, Permission.CONVERSE, Permission.UPLOAD_ATTACHMENTS, Permission.TRACK_EVENTS}
)
DEVICES_ONLY = DEVICE_PERMISSIONS - _OWNER
"""What nobody of the team has."""
ENROLLING_PERMISSIONS = frozenset({Permission.OWN_ACCOUNT})
"""What owners and admins have until they have set up the second factor that their app asks for."""
SCOPES = frozenset(_OWNER) - {
    Permission.OWN_ACCOUNT,
    Permission.OWN_MEMBERSHIP,
    Permission.MANAGE_TEAM,
    Permission.MANAGE_API_KEYS,
    Permission.MANAGE_WEBHOOKS,
}
"""What an API key may have: nothing that is a person's own, and nothing by which it could make itself lasting."""
_RANKS = (Role.AGENT, Role.ADMIN, Role.OWNER)


def outranks(one: Role, other: Role) -> bool:
    """Whether `one` stands above `other`."""
    return _RANKS.index(one) > _RANKS.index(other)
