"""What a node really does, and what comes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.principals import Principal
from domain.segments.conditions import Field
from domain.workflows.nodes.kind import NEXT, Scene
from models.channels import ChannelKind
from models.contacts import Contact
from models.executions import WorkflowStep

Json = dict[str, Any]


class Act(Scene, Protocol):
    """What a node acts in: one transaction, which holds the contact and the execution."""

    @property
    def session(self) -> AsyncSession:
        """The transaction."""

    @property
    def principal(self) -> Principal:
        """The workflow, as who does something."""

    @property
    def contact(self) -> Contact:
        """Whom it is done to."""

    @property
    def step(self) -> WorkflowStep:
        """The step, for what is kept of it."""

    def render(self, text: str, escape: Callable[[str], str] = str) -> str:
        """A text with its variables put in, each passed through `escape`.

        Raises:
            MissingValue: a variable has no value and no default.
        """

    def filled(self, json: Any) -> Any:
        """JSON whose texts have their variables put in. Raises as `render`."""

    async def happened(self, awaited: "Awaited") -> Json | None:
        """The outputs of an event that has come since the step was reached; None when none has."""

    async def open_conversations(self) -> list[UUID]:
        """The contact's conversations that are neither resolved nor spam."""


@dataclass(frozen=True)
class Done:
    """It has acted; the run goes on.

    Attributes:
        way: the branch, or `next`.
        output: what later nodes may say of it.
    """

    way: str = NEXT
    output: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Awaited:
    """An event that ends a wait early, by the way `received`."""

    event_name: str
    properties: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Waits:
    """The run goes on by `way` at `until`, or when an event comes."""

    until: datetime
    way: str = NEXT
    output: Json = field(default_factory=dict)
    event: Awaited | None = None


@dataclass(frozen=True)
class Again:
    """Not now: it acts again at `at`. It is no failure. `output` is what is known so far."""

    at: datetime
    output: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Calls:
    """The outside world is needed."""

    call: "Message | Request"


@dataclass(frozen=True)
class Ends:
    """The whole run ends here."""

    output: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Fails:
    """It has not worked.

    Attributes:
        code: stable, for programs.
        retry_at: when it is tried again; None when that is of no use.
        output: what is known all the same.
    """

    code: str
    message: str
    retry_at: datetime | None = None
    output: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """A call: send the contact a message."""

    channel: ChannelKind
    title: str
    body: str
    data: Json | None


@dataclass(frozen=True)
class Request:
    """A call: ask a server.

    Attributes:
        body: sent as JSON; None sends none.
        timeout_seconds: for all of it.
        retries: how often it is tried again.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: Json | None
    timeout_seconds: int
    retries: int


Result = Done | Waits | Again | Calls | Ends | Fails
