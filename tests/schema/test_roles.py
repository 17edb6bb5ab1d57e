"""Who may do what, written out: a wrong line in the table of permissions fails here. And what no input may say."""

from typing import Any

import pytest

from models.team import Role
from tests.schema.roots import arguments, ask, document, refusals, roots
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph

OWNERS, MANAGERS, EVERYBODY = {"OWNER"}, {"OWNER", "ADMIN"}, {"OWNER", "ADMIN", "AGENT"}
MAY = {
    "contacts": EVERYBODY,
    "createContact": MANAGERS,
    "updateContact": MANAGERS,
    "deleteContact": MANAGERS,
    "registerDevice": MANAGERS,
    "trackEvent": MANAGERS,
    "trackEvents": MANAGERS,
    "segments": EVERYBODY,
    "createSegment": MANAGERS,
    "updateSegment": MANAGERS,
    "deleteSegment": MANAGERS,
    "broadcasts": EVERYBODY,
    "createBroadcast": MANAGERS,
    "updateBroadcast": MANAGERS,
    "deleteBroadcast": OWNERS,
    "sendBroadcast": MANAGERS,
    "scheduleBroadcast": MANAGERS,
    "cancelBroadcast": MANAGERS,
    "team": EVERYBODY,
    "invitations": OWNERS,
    "inviteMember": OWNERS,
    "resendInvitation": OWNERS,
    "revokeInvitation": OWNERS,
    "updateMember": OWNERS,
    "removeMember": OWNERS,
    "transferOwnership": OWNERS,
    "apiKeys": OWNERS,
    "createApiKey": OWNERS,
    "revokeApiKey": OWNERS,
    "auditLog": MANAGERS,
    "updateRateLimits": OWNERS,
    "updateSendingLimits": OWNERS,
    "appSettings": EVERYBODY,
    "updateAppSettings": OWNERS,
    "suppressions": EVERYBODY,
    "suppressAddress": MANAGERS,
    "unsuppressAddress": MANAGERS,
    "optOutContact": MANAGERS,
    "optInContact": MANAGERS,
    "sessions": EVERYBODY,
    "leaveApp": EVERYBODY,
    "reportReceipts": set(),
    "conversations": EVERYBODY,
    "conversationCounts": EVERYBODY,
    "resolveConversation": EVERYBODY,
    "sendMessage": EVERYBODY,
    "addNote": EVERYBODY,
    "deleteMessage": EVERYBODY,
    "labels": EVERYBODY,
    "addConversationLabel": EVERYBODY,
    "createLabel": MANAGERS,
    "updateLabel": MANAGERS,
    "deleteLabel": MANAGERS,
    "assignConversation": EVERYBODY,
    "takeNextConversation": EVERYBODY,
    "assignmentSettings": EVERYBODY,
    "setAssignmentSettings": MANAGERS,
    "setMemberCapacity": MANAGERS,
    "setAway": EVERYBODY,
    "workflows": EVERYBODY,
    "validateWorkflow": EVERYBODY,
    "createWorkflow": MANAGERS,
    "publishWorkflow": MANAGERS,
    "activateWorkflow": MANAGERS,
    "deleteWorkflow": MANAGERS,
    "workflowExecutions": EVERYBODY,
    "workflowAnalytics": EVERYBODY,
    "startWorkflow": MANAGERS,
    "cancelWorkflowExecution": MANAGERS,
    "cancelWorkflowExecutions": MANAGERS,
    "retryWorkflowExecution": MANAGERS,
    "continueWorkflowExecution": MANAGERS,
    "webhooks": MANAGERS,
    "webhookDeliveries": MANAGERS,
    "createWebhook": OWNERS,
    "rotateWebhookSecret": OWNERS,
    "replayWebhookDeliveries": OWNERS,
    "notifications": EVERYBODY,
    "notificationPreferences": EVERYBODY,
    "markAllNotificationsRead": EVERYBODY,
    "setNotificationPreference": EVERYBODY,
    "ownConversations": set(),
    "ownMessages": set(),
    "sendOwnMessage": set(),
    "markOwnMessages": set(),
}
ROOTS = {root.name: root for root in roots("query", "mutation")}
# What a client might add to an input to get more than it offers.
FORBIDDEN_FIELDS = {
    "signUp": {"role": "OWNER", "appId": "x"},
    "acceptInvitation": {"role": "OWNER", "email": "eve@example.com", "appId": "x"},
    "inviteMember": {"appId": "x", "token": "x", "expiresAt": "2100-01-01T00:00:00Z", "invitedById": "x"},
    "updateMember": {"appId": "x", "userId": "x", "createdAt": "2000-01-01T00:00:00Z"},
    "transferOwnership": {"role": "OWNER"},
    "createContact": {"id": "x", "appId": "x", "createdAt": "2000-01-01T00:00:00Z"},
    "updateContact": {"appId": "x", "updatedAt": "2000-01-01T00:00:00Z"},
    "trackEvent": {"appId": "x", "createdAt": "2000-01-01T00:00:00Z"},
    "createWorkflow": {"appId": "x", "status": "ACTIVE", "createdById": "x", "activeVersionId": "x"},
    "createSegment": {"appId": "x", "createdById": "x"},
    "createBroadcast": {"appId": "x", "status": "SENT", "createdById": "x", "totalRecipients": 1},
    "updateBroadcast": {"appId": "x", "status": "SENT", "sentAt": "2000-01-01T00:00:00Z"},
    "sendMessage": {"status": "READ", "authorId": "x", "isNote": True, "direction": "INBOUND"},
    "sendOwnMessage": {"conversationId": "x", "contactId": "x", "isNote": True, "direction": "OUTBOUND"},
    "createWebhook": {"appId": "x", "secret": "whsec_x", "createdById": "x", "failures": 1},
    "createApiKey": {"appId": "x", "secretHash": "x", "createdById": "x"},
}


@pytest.mark.parametrize("name", MAY)
async def test_exactly_these_roles_get_in(graph: Graph, team: Team, name: str) -> None:
    people = {role.value: (await factories.team(role, team.app_id)).token for role in Role}
    root = ROOTS[name]
    answers = {role: await ask(graph.as_(token), root, arguments(root)) for role, token in people.items()}
    assert {role for role, answer in answers.items() if refusals(answer) != ["FORBIDDEN"]} == MAY[name]


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [(name, field, value) for name, extra in FORBIDDEN_FIELDS.items() for field, value in extra.items()],
)
async def test_an_input_takes_no_other_fields(graph: Graph, name: str, field: str, value: Any) -> None:
    root = ROOTS[name]
    values = arguments(root)
    answer = await graph.ask(document(root, values), input=values["input"] | {field: value})
    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.body.get("data") is None
    assert field in answer.body["errors"][0]["message"]
