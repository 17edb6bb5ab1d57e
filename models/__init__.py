"""Floor 1: tables only, one file a noun.

All are loaded together, so that a foreign key always finds the table it names.
"""

from models import (
    apps,
    broadcasts,
    contacts,
    devices,
    facts,
    idempotency,
    in_app_messages,
    sessions,
    team,
)
from models.base import Model

__all__ = [
    "Model",
    "apps",
    "broadcasts",
    "contacts",
    "devices",
    "facts",
    "idempotency",
    "in_app_messages",
    "sessions",
    "team",
]
