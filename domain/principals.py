"""Who asks: a signed-in person of the team, a program with a key, or a device of a contact."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from core.errors import Forbidden
from domain.features import Feature
from domain.permissions import Permission


@dataclass(frozen=True)
class Caller:
    """Where a request comes from, whoever it is: the address, and the program as it names itself."""

    ip: str
    user_agent: str


NOWHERE = Caller("", "")


@dataclass(frozen=True)
class Author:
    """Who does something, as facts and the audit log keep it.

    Attributes:
        actor: `user:<id>`, `key:<id>`, `device:<id>`, `contact:<id>`, `workflow:<id>`, `system`, or `nobody` before a
            sign-in.
        ip: where they are; empty when that is not known.
        session_id: the session they do it in, when it is a person's.
    """

    actor: str
    ip: str = ""
    session_id: UUID | None = None


SYSTEM = Author("system")


@dataclass(frozen=True)
class Principal:
    """Somebody proven, within one app.

    Attributes:
        app_id: the tenant that every query of theirs is bound to.
        permissions: what they may do there.
        user_id: the AdminUser, when it is a person of the team.
        session_id: their UserSession.
        device_id: the Device, when it is one.
        api_key_id: the ApiKey, when it is a program with one.
        workflow_id: the Workflow, when it is one that acts.
        expires_at: the instant at which the proof ends.
        must_enrol: whether they may do nothing but set up the second factor that the app asks for.
        switched_off: the features that are off in the app. Of a device that is not known: it has none of them.
        caller: where they are.
    """

    app_id: UUID
    permissions: frozenset[Permission]
    expires_at: datetime
    user_id: UUID | None = None
    session_id: UUID | None = None
    device_id: UUID | None = None
    api_key_id: UUID | None = None
    workflow_id: UUID | None = None
    must_enrol: bool = False
    switched_off: frozenset[Feature] = frozenset()
    caller: Caller = NOWHERE

    @property
    def actor(self) -> str:
        """`user:<id>`, `key:<id>`, `workflow:<id>` or `device:<id>`."""
        if self.user_id:
            return f"user:{self.user_id}"
        if self.workflow_id:
            return f"workflow:{self.workflow_id}"
        return f"key:{self.api_key_id}" if self.api_key_id else f"device:{self.device_id}"

    @property
    def author(self) -> Author:
        """The principal as facts and the audit log keep them."""
        return Author(self.actor, self.caller.ip, self.session_id)

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
