"""Who asks: a signed-in person of the team, or a device of a contact."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from core.errors import Forbidden
from domain.permissions import Permission


@dataclass(frozen=True)
class Caller:
    """Where a request comes from, whoever it is: the address, and the program as it names itself."""

    ip: str
    user_agent: str


@dataclass(frozen=True)
class Principal:
    """Somebody proven, within one app.

    Attributes:
        app_id: the tenant that every query of theirs is bound to.
        permissions: what they may do there.
        user_id: the AdminUser, when it is a person of the team.
        session_id: their UserSession.
        device_id: the Device, when it is one.
        expires_at: the instant at which the proof ends.
    """

    app_id: UUID
    permissions: frozenset[Permission]
    expires_at: datetime
    user_id: UUID | None = None
    session_id: UUID | None = None
    device_id: UUID | None = None

    @property
    def actor(self) -> str:
        """`user:<id>` or `device:<id>`, as facts record it."""
        return f"user:{self.user_id}" if self.user_id else f"device:{self.device_id}"

    def person(self) -> UUID:
        """The AdminUser's id.

        Raises:
            Forbidden: the asker is no person of the team.
        """
        if self.user_id is None:
            raise Forbidden("Only a person of the team can do this.")
        return self.user_id

    def device(self) -> UUID:
        """The Device's id.

        Raises:
            Forbidden: the asker is no device.
        """
        if self.device_id is None:
            raise Forbidden("Only a device can do this.")
        return self.device_id
