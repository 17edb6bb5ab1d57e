"""Change fields of the contact."""

from dataclasses import dataclass
from typing import Any

from core.errors import Invalid
from domain import contacts
from domain.contacts import ContactFields
from domain.workflows.configs import Config, said
from domain.workflows.nodes.acts import Act, Done
from domain.workflows.nodes.kind import NodeKind
from domain.workflows.readers import JSON, template


@dataclass(frozen=True)
class UpdateContact(Config):
    """What is changed. What is left out stays."""

    name: str | None = said("Their name; may hold variables.", template(200), None)
    plan: str | None = said("Their plan; may hold variables.", template(100), None)
    attributes: dict[str, Any] | None = said("Attributes to set; the others stay. May hold variables.", JSON, None)

    def refuse(self, at: str) -> None:
        """Refuse to change nothing."""
        if not (self.name or self.plan or self.attributes):
            raise Invalid(f"{at} changes nothing; give name, plan or attributes.", field=at)


async def _acts(config: UpdateContact, act: Act) -> Done:
    fields = ContactFields()
    if config.name:
        fields["name"] = act.render(config.name)
    if config.plan:
        fields["plan"] = act.render(config.plan)
    if config.attributes:
        fields["attributes"] = {**act.contact.attributes, **act.filled(config.attributes)}
    await contacts.update(act.session, act.principal, act.contact_id, fields)
    return Done()


KIND = NodeKind("update_contact", UpdateContact, "Changes fields of the contact.", acts=_acts, locks_contact=True)
