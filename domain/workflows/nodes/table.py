"""All kinds of nodes, a line each."""

from domain.workflows.nodes import (
    assign,
    condition,
    exit,  # noqa: A004  it is what the node is called
    labels,
    random_split,
    send_message,
    tags,
    track_event,
    update_contact,
    wait,
    wait_for_event,
    wait_until,
    webhook,
)
from domain.workflows.nodes.kind import NodeKind

KINDS: dict[str, NodeKind] = {
    kind.name: kind
    for kind in (
        send_message.KIND,
        wait.KIND,
        wait_until.KIND,
        wait_for_event.KIND,
        condition.KIND,
        random_split.KIND,
        webhook.KIND,
        track_event.KIND,
        update_contact.KIND,
        tags.ADD,
        tags.REMOVE,
        labels.ADD,
        labels.REMOVE,
        assign.KIND,
        exit.KIND,
    )
}
