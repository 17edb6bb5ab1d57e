"""Who may do what: one table."""

from enum import StrEnum

from models.team import Role


class Permission(StrEnum):
    """A right. Every root field declares the one it needs."""

    VIEW_CONTACTS = "VIEW_CONTACTS"
    EDIT_CONTACTS = "EDIT_CONTACTS"
    DELETE_CONTACTS = "DELETE_CONTACTS"
    MANAGE_DEVICES = "MANAGE_DEVICES"
    VIEW_BROADCASTS = "VIEW_BROADCASTS"
    CREATE_BROADCASTS = "CREATE_BROADCASTS"
    EDIT_BROADCASTS = "EDIT_BROADCASTS"
    DELETE_BROADCASTS = "DELETE_BROADCASTS"
    SEND_BROADCASTS = "SEND_BROADCASTS"
    OWN_ACCOUNT = "OWN_ACCOUNT"
    RECEIVE_MESSAGES = "RECEIVE_MESSAGES"


_AGENT = {
    Permission.VIEW_CONTACTS,
    Permission.VIEW_BROADCASTS,
    Permission.OWN_ACCOUNT,
}
_ADMIN = _AGENT | {
    Permission.EDIT_CONTACTS,
    Permission.DELETE_CONTACTS,
    Permission.MANAGE_DEVICES,
    Permission.CREATE_BROADCASTS,
    Permission.EDIT_BROADCASTS,
    Permission.SEND_BROADCASTS,
}
_OWNER = _ADMIN | {Permission.DELETE_BROADCASTS}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.AGENT: frozenset(_AGENT),
    Role.ADMIN: frozenset(_ADMIN),
    Role.OWNER: frozenset(_OWNER),
}
DEVICE_PERMISSIONS = frozenset({Permission.RECEIVE_MESSAGES})
