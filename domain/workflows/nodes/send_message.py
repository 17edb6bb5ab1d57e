"""Send the contact a message."""

from dataclasses import dataclass
from typing import Any

from core.errors import Invalid
from domain.workflows.configs import Config, said
from domain.workflows.nodes.acts import Act, Calls, Message
from domain.workflows.nodes.kind import NodeKind
from domain.workflows.readers import JSON, choice, template
from models.channels import ChannelKind


@dataclass(frozen=True)
class SendMessage(Config):
    """What is sent."""

    body: str = said("What it says; may hold variables, like {{ contact.name }}.", template())
    title: str | None = said("Its title, or the subject of an e-mail; may hold variables.", template(200), None)
    channel: ChannelKind = said("By which way: IN_APP, when left out.", choice(ChannelKind), ChannelKind.IN_APP)
    data: dict[str, Any] | None = said("What the app gets with it, as a JSON object; may hold variables.", JSON, None)

    def refuse(self, at: str) -> None:
        """Refuse an e-mail without a subject."""
        if self.channel is ChannelKind.EMAIL and self.title is None:
            raise Invalid(f"{at}.title is missing: an e-mail needs a subject.", field=f"{at}.title")


async def _acts(config: SendMessage, act: Act) -> Calls:
    title = act.render(config.title) if config.title else ""
    return Calls(Message(config.channel, title, act.render(config.body), act.filled(config.data)))


KIND = NodeKind(
    "send_message",
    SendMessage,
    "Sends the contact a message; by the branch `failed`, if there is one, when it cannot be sent.",
    may_branch=("failed",),
    outputs=("messageId", "status"),
    acts=_acts,
)
