"""Which facts are told to whom: a line each. And which facts may mean that something need not be told any more."""

from domain.notifications.audience import Rule, by_itself, of_assignments, of_messages, to_maker, to_owners, workflow_of
from models.broadcasts import Broadcast
from models.facts import FactKind
from models.notifications import NotificationType
from models.webhooks import Webhook
from models.workflows import Workflow

TOLD: dict[FactKind, Rule] = {
    FactKind.MESSAGE_CREATED: of_messages,
    FactKind.CONVERSATION_ASSIGNED: of_assignments,
    FactKind.BROADCAST_SENT: to_maker(NotificationType.BROADCAST_SENT, Broadcast),
    FactKind.BROADCAST_FAILED: to_maker(NotificationType.BROADCAST_FAILED, Broadcast),
    FactKind.WORKFLOW_EXECUTION_FAILED: to_maker(NotificationType.WORKFLOW_FAILED, Workflow, workflow_of),
    FactKind.WEBHOOK_DISABLED: to_owners(NotificationType.WEBHOOK_DISABLED, Webhook, by_itself),
}
CLEARING = frozenset(
    {
        FactKind.CONVERSATION_ASSIGNED,
        FactKind.CONVERSATION_UNASSIGNED,
        FactKind.CONVERSATION_READ,
        FactKind.CONVERSATION_RESOLVED,
        FactKind.CONVERSATION_UPDATED,
    }
)
"""What may take notifications of a conversation off people; their `entity_id` is the conversation."""
FOLLOWED = CLEARING | TOLD.keys()
